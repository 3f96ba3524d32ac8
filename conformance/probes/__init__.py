"""The probes: one file per section of the specification, one test function per check."""
