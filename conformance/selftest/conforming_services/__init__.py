"""Correct services in other styles than the reference's."""
