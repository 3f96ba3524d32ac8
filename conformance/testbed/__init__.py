"""The testbed: a real Postgres and Redis, the upstream stub, and processes and containers."""
