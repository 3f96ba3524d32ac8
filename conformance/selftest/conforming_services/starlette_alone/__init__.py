"""Starlette without FastAPI: validation by hand, the OpenAPI document from docstrings."""
