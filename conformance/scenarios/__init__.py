"""Situations that take a target's whole life, or many steps."""
