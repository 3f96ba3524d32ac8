"""The evaluation of the suite: faulty and conforming services, mutants, repeated runs."""
