#!/bin/bash
# Argument: the allocation directory. Everything that runs here was fixed when the job was submitted.
exec /opt/python3 -I -S "$1/orchestrator.pyz" "$1"
