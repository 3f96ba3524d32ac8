"""From evidence to verdicts, claims and an exit status. It opens nothing."""
