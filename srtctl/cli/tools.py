"""`srtctl tools`: which programs from outside are there, and get those that aren't."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from srtctl.errors import ExitCode, format_problems
from srtctl.plan.programs import NAMES
from srtctl.schema.cluster import ToolsConfig
from srtctl.tools import find_programs, missing, tools_directory

EPILOG = """\
tools that can be installed:
  dynamo[==1.6.1|==1.4.2]   Dynamo's frontend, mocker and workers
  client                    aiperf, the benchmark client
  lm-eval                   lm-evaluation-harness, for benchmark=lm-eval
  services                  etcd, nats-server and nginx
Each goes into an environment of its own in the tools directory: --directory,
else $SRTCTL_TOOLS_DIR, else tools/ in srtctl's own environment. On a cluster
choose a directory that all nodes see, and set cluster.tools.directory to it.

`fetch` gets tools for nodes of another architecture than this machine's, and
starts none of them. They go into <tools directory>/<architecture>, where jobs
with cluster.architecture=<architecture> find them."""


def main(argv: list[str]) -> int:
    """Carry out `srtctl tools list|install|fetch`; returns the exit code.

    Raises:
        SrtctlError: A tool is unknown, or could not be installed.
    """
    options = _parser().parse_args(argv)
    tools = ToolsConfig(directory=options.directory)
    if options.verb == "fetch":
        return _fetch(options, tools)
    if options.verb == "install":
        return _install(options.tool, tools_directory(tools))
    return _list(tools, options.json, options.arch)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="srtctl tools",
        description="Which programs from outside are there, and get those that are not.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", metavar="list | install | fetch", required=True)
    show = verbs.add_parser("list", help="show each program, its release and its path")
    show.add_argument("--json", action="store_true", help="one JSON document on standard output")
    install = verbs.add_parser("install", help="install tools", epilog=EPILOG, formatter_class=parser.formatter_class)
    install.add_argument("tool", nargs="*", default=["dynamo", "client"], help="default: dynamo client")
    fetch = verbs.add_parser(
        "fetch",
        help="get tools for nodes of another architecture",
        epilog=EPILOG,
        formatter_class=parser.formatter_class,
    )
    fetch.add_argument("tool", nargs="*", help="default: services, and with --python dynamo")
    fetch.add_argument("--to", metavar="DIR", help="where; default: <tools directory>/<architecture>")
    fetch.add_argument("--python", metavar="PATH", help="the nodes' interpreter, such as /usr/bin/python3.12")
    for verb, needed in ((show, False), (fetch, True)):
        verb.add_argument("--arch", choices=("aarch64", "x86_64"), required=needed, help="architecture of the nodes")
    for verb in (show, install, fetch):
        verb.add_argument("--directory", metavar="DIR", help="the tools directory")
    return parser


def _install(requests: list[str], directory: Path) -> int:
    from srtctl.tools.install import install, parse

    for request in requests:
        parse(request)  # a misspelt one must not be found after minutes of installing the others
    for request in requests:
        install(request, directory, lambda line: print(line, flush=True))
    return ExitCode.OK


def _fetch(options: argparse.Namespace, tools: ToolsConfig) -> int:
    from srtctl.tools.fetch import fetch
    from srtctl.tools.install import parse

    requests = options.tool or ["services", *(["dynamo"] if options.python else [])]
    for request in requests:
        parse(request)
    directory = Path(options.to).expanduser().absolute() if options.to else tools_directory(tools) / options.arch
    for request in requests:
        fetch(request, options.arch, directory, lambda line: print(line, flush=True), options.python)
    if options.to:
        print(f"use it: cluster.architecture={options.arch} cluster.tools.directory={directory}")
    return ExitCode.OK


def _list(tools: ToolsConfig, as_json: bool, architecture: str | None) -> int:
    programs, problems = find_programs(tools, architecture=architecture)
    absent = missing(programs, NAMES, tools_directory(tools, architecture), architecture)
    if as_json:
        rows = {n: {"path": programs.paths.get(n), "version": programs.versions.get(n)} for n in NAMES}
        print(json.dumps({"directory": str(tools_directory(tools, architecture)), "programs": rows}, indent=2))
        return ExitCode.OK
    print(f"tools directory: {tools_directory(tools, architecture)}")
    for name in NAMES:
        path = programs.paths.get(name, "not found")
        print(f"{name:<14} {programs.versions.get(name, '-'):<10} {path}")
    if problems or absent:
        hints = [f"{p.key.rpartition('.')[2]}: {p.hint}" for p in absent]
        print("\n".join([*([format_problems(problems)] if problems else []), *hints]))
    return ExitCode.OK
