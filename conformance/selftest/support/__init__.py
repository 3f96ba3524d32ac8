"""What several tests of the suite use."""
