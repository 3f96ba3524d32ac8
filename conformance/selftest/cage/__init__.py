"""Tests that need bubblewrap."""
