"""What srtctl knows of Slurm: its client programs, its releases, its queue and its messages."""
