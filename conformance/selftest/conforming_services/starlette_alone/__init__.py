"""Starlette without FastAPI: routes in a list, validation by hand, the OpenAPI document from docstrings."""
