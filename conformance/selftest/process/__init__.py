"""Tests that start services, targets or whole runs."""
