"""Tests that need a Docker daemon."""
