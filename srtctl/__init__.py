"""srtctl: a Hydra-composed launcher for distributed LLM inference benchmarks on Slurm clusters."""

__version__ = "0.1.0"
