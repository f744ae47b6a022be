"""The text of `srtctl --help`, kept apart so that showing it imports nothing else."""

from __future__ import annotations

from srtctl import __version__

VERSION_TEXT = f"srtctl {__version__}"

HELP = """\
srtctl: benchmark distributed LLM serving, from one declarative job

usage: srtctl apply   [-f RECIPE] [key=value ...] [-m]     start a job or a sweep
       srtctl dry-run [-f RECIPE] [key=value ...] [-m]     check it and show all of it; start nothing
       srtctl status | logs | cancel | results  [SWEEP]    see, read, stop, compare
       srtctl init                                         describe this cluster, once
       srtctl import FILE...                               srt-slurm's job files as groups and short recipes
       srtctl tools list | install                         programs from outside (Dynamo, client, services)

Jobs
  apply                 compose, check, plan, submit; returns at once
  dry-run, validate     the same path, submitting nothing: resolved job, GPUs, commands, files
  A command without a verb is an apply: `srtctl mode=disagg benchmark.isl=2048`.

  -f, --file FILE[:VARIANT]   recipe; VARIANT picks override_*/zip_override_* entries (globs allowed);
                              a directory: every *.yaml in it, all or none; -: standard input
  -m, --multirun              sweep: `mode=agg,disagg resources.decode_workers=1,2 -m`
  --setup-script SCRIPT       run before every worker (from here, else beside the recipe)
  --tags a,b                  words to find the run by
  --wait                      stay until the results are there, with live progress
  -o, --output-dir DIR        where results go (default: the cluster's, else ./outputs)
  --json                      one JSON document on standard output
  --sources                   dry-run: show where each value came from
  -v, --verbose               dry-run: every process with its whole environment

Composition (Hydra)
  groups: model, cluster, mode, benchmark, backend, frontend, profiling
  --cfg job                   print the composed job       --info   how it was composed
  --hydra-help                Hydra's own flags            -sc install=bash   shell completion

Runs
  status [SWEEP] [--watch]    phase, processes, current measurement, last error
  logs [-f] [PROCESS]         the orchestrator's log, or one process's
  cancel [SWEEP]              ordered stop, then make sure
  results [SWEEP] [--json|--csv]
  ssh [PROCESS]               the command that opens a shell beside a worker

Exit codes: 0 ok, 1 the run failed or a measurement is not valid, 2 wrong input (nothing was started),
3 something is missing on this machine, 130 interrupted.
`srtctl VERB --help` says more about one command."""
