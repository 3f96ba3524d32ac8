"""The options of a run: the command line, the target's own file, the known failures."""
