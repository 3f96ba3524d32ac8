"""The testbed: the real Postgres, the real Redis, the upstream stub and the target's processes, for one run."""
