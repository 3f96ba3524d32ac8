"""The implementation under test: how it is started, where it is, what may be done to it."""
