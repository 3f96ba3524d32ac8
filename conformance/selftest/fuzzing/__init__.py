"""A fuzzer of everything that a target can say: whatever it is, no error of the suite's follows."""
