"""Settings from the environment."""

from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    """What a deployment has to say."""

    database_url: str
    external_data_url: str
    celery_broker_url: str
    celery_result_backend: str
    upstream_seconds: float = 12

    @property
    def sqlalchemy_url(self) -> str:
        """The database's URL with the driver in it, as SQLAlchemy wants it."""
        return self.database_url.replace("postgresql://", "postgresql+asyncpg://", 1)


settings = Settings()  # type: ignore[call-arg] # the environment gives them
