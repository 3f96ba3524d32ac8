"""An asynchronous service: one table, one upstream, and one queue."""
