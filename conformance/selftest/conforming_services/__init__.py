"""Conforming services, in other styles than the reference."""
