"""Miniatures: deliberately wrong small services, one fault each, that a named requirement must catch."""
