"""The client of the accuracy benchmarks: asks questions over HTTP and writes down the answers.

Shipped in `orchestrator.pyz`, whose option `--questions` starts it; standard library only.
"""

from __future__ import annotations
