"""A small asynchronous service, written to be read: the bundled reference of the conformance suite."""
