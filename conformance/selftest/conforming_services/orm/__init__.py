"""Routers over SQLAlchemy's ORM: settings by pydantic, a session per request, response models."""
