"""Runs one allocation: starts the plan's servers, measures point after point, stops everything.

Shipped as `orchestrator.pyz`; standard library only, so that any Python >= 3.10 of a compute node can run it.
"""
