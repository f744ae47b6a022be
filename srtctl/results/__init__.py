"""Reading sweeps: which one is meant, what state it is in, what it measured. Nothing here writes."""
