"""The suite's own tests: miniatures and variants of a service, import directions, golden reports."""
