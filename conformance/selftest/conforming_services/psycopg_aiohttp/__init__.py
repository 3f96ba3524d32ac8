"""Psycopg's pool and aiohttp's client, handed to the endpoints by dependencies that are classes."""
