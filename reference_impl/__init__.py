"""A small asynchronous service, written to be read: the reference of the conformance suite."""
