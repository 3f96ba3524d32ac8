"""The suite judged by its own means: faulty and conforming services, mutants, repeated runs."""
