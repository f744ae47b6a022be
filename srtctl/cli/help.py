"""The text of `srtctl --help`, kept apart so that showing it imports nothing else."""

from __future__ import annotations

from srtctl import __version__

VERSION_TEXT = f"srtctl {__version__}"

HELP = """\
srtctl: benchmark distributed LLM serving, from one declarative job

usage: srtctl apply   [-f RECIPE] [key=value ...] [-m]   start a job or a sweep
       srtctl dry-run [-f RECIPE] [key=value ...] [-m]   check, show, no start
       srtctl status | logs | cancel | results [SWEEP]   see, stop, compare
       srtctl ssh [PROCESS]                              a shell beside a worker
       srtctl init                                       describe this cluster
       srtctl import FILE...                             take srt-slurm's files
       srtctl tools list | install | fetch               programs from outside

Begin with `srtctl apply mode=disagg --wait`: a simulated job on this machine,
no GPU and no Slurm needed. `srtctl init`, once, makes a cluster known.

Jobs
  apply                      compose, check, plan, submit; returns at once
  dry-run, validate          the same path, submitting nothing: the job, GPUs,
                             commands and files
  Without a verb it is an apply: `srtctl mode=disagg benchmark.isl=2048`.

  -f, --file FILE[:VARIANT]  recipe; VARIANT picks override_*/zip_override_*
                             entries (globs allowed); a directory: every *.yaml
                             in it, all or none; -: standard input
  -m, --multirun             sweep: `mode=agg,disagg benchmark.isl=64,128 -m`
  --wait                     stay until the results are there
  --resume SWEEP             run only what that sweep lacks
  -o, --output-dir DIR       where results go
  --json                     one JSON document on standard output
  `srtctl apply --help` has all flags.

Composition (Hydra)
  groups: model, cluster, mode, benchmark, backend, frontend, profiling
  mode=?                     an option that there is not: names those there are
  --cfg job                  print the composed job; --info: how it was composed
  --hydra-help               Hydra's own flags
  -sc install=bash           shell completion: eval "$(srtctl -sc install=bash)"

Runs
  status [SWEEP] [--watch]   phase, processes, current measurement, last error
  logs [-f] [PROCESS]        the orchestrator's log, or one process's
  cancel [SWEEP]             ordered stop, then make sure
  results [SWEEP] [--json|--csv]
  ssh [PROCESS]              the command that opens a shell beside a worker

Exit codes: 0 ok; 1 the run failed or a measurement is not valid; 2 wrong input,
nothing was started; 3 something is missing on this machine; 130 interrupted.
`srtctl VERB --help` says more about one command."""
