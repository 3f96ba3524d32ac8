"""How pytest runs the probes."""
