"""Random interruptions of real runs: what must hold whenever, and whatever, is killed."""
