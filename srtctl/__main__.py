"""`python -m srtctl` and the `srtctl` program."""

from __future__ import annotations

import sys


def main() -> int:
    """Run one command with the process's arguments; returns its exit code."""
    from srtctl.cli import main as run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
