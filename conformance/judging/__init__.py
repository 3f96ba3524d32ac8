"""From evidence to verdicts, claims and an exit status. Nothing here does any I/O."""
