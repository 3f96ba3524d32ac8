"""What everything else stands on: evidence, errors, time limits, polling. It opens nothing."""
