"""The suite's own tests: services to judge, import directions, golden reports, an evaluation."""
