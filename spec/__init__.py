"""The specification: what an implementation does. Imports nothing of the suite and opens nothing but its own files."""
