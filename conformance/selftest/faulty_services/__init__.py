"""Faulty services: small services of one fault each, which a named requirement must find."""
