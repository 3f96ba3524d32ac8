"""One run from opening to closing, and many runs."""
