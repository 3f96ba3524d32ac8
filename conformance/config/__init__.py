"""What a run was told: the command line, the target's own file, the known failures."""
