"""Requests to the target, and the exchanges that come of them."""
