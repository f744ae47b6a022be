"""What this machine knows about a job: the model's files, the programs, the setup script. Looked up once per sweep."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from srtctl import invocation
from srtctl.composed import ComposedPoint, Sources
from srtctl.errors import Problem, Severity
from srtctl.plan.programs import Programs, needed
from srtctl.schema import JobConfig
from srtctl.validate.context import SiteFacts
from srtctl.validate.gpus import host_architecture

TINY_MODEL = Path(__file__).parent / "assets" / "tiny-model"
BUILTIN_MODELS = {"builtin:tiny": TINY_MODEL}
HUB = "hf:"
SIMULATED_GPUS = 8  # of each node, where nodes have none and the backend needs none


@dataclass(frozen=True)
class SiteView:
    """A job as seen from this machine.

    Attributes:
        facts: For the checks.
        programs: Where programs are.
        model_path: Absolute path, or the `org/name` of the hub as engines and clients take it, without our `hf:`.
        tokenizer_path: The same for the client's tokenizer.
        setup_script: Its text; None when the job has none, or it can't be read (the facts say why).
    """

    facts: SiteFacts
    programs: Programs
    model_path: str
    tokenizer_path: str
    setup_script: str | None


def completed(point: ComposedPoint) -> ComposedPoint:
    """The point with what its config leaves to be found out: the GPUs of a Slurm node, and what its processor is."""
    cluster, resources = point.config.get("cluster"), point.config.get("resources")
    if not isinstance(cluster, dict) or not isinstance(resources, dict) or cluster.get("executor") != "slurm":
        return point
    return _with_architecture(_with_gpus(point, cluster, resources), resources)


def _with_gpus(point: ComposedPoint, cluster: Mapping[str, Any], resources: Mapping[str, Any]) -> ComposedPoint:
    """GPUs of a node as Slurm says, where the config has no number.

    Where nodes have none, a backend that needs none gets simulated ones, as many as `cluster=local` has. Without
    Slurm the point stays as it is, and is refused where the number is needed.
    """
    if any(count is not None for count in (cluster.get("gpus_per_node"), resources.get("gpus_per_node"))):
        return point
    from srtctl.slurm.partitions import most_gpus

    slurm = point.config.get("slurm")
    partition = (slurm.get("partition") if isinstance(slurm, dict) else None) or cluster.get("partition")
    count = most_gpus(partition)
    if count:
        found = {"gpus_per_node": count}
    elif count == 0 and _simulates(point.config):
        found = {"gpus_per_node": SIMULATED_GPUS, "simulated_gpus": True}
    else:
        return point
    return _with_cluster(point, found, "asked of Slurm (sinfo)")


def _with_architecture(point: ComposedPoint, resources: Mapping[str, Any]) -> ComposedPoint:
    """The architecture of nodes whose GPUs tell it, so that no program of this machine's is planned for others."""
    cluster = point.config["cluster"]
    if cluster.get("architecture") is not None or cluster.get("simulated_gpus"):
        return point
    key = "cluster.gpu_type" if cluster.get("gpu_type") else "resources.gpu_type"
    gpu = cluster.get("gpu_type") or resources.get("gpu_type")
    architecture = host_architecture(gpu) if isinstance(gpu, str) else None
    if architecture is None:
        return point
    point = _with_cluster(point, {"architecture": architecture}, f"follows from {key}={gpu}")
    if architecture == os.uname().machine:
        return point
    message = f"nodes with {gpu} GPUs are {architecture}, and this machine is {os.uname().machine}"
    hint = (
        f"programs for {architecture} are looked for; cluster.architecture={architecture} in the cluster's file says it"
    )
    told = Problem("architecture", message, key, gpu, hint=hint, severity=Severity.NOTE)
    return replace(point, problems=(*point.problems, told))


def _with_cluster(point: ComposedPoint, found: Mapping[str, Any], source: str) -> ComposedPoint:
    sources = {f"cluster.{key}": source for key in found}
    return replace(
        point,
        config={**point.config, "cluster": {**point.config["cluster"], **found}},
        sources=Sources(_Over(sources, point.sources.table)),
    )


class _Over(Mapping[str, str]):
    """One table over another one, which is costly to look through and therefore only asked when it must be."""

    def __init__(self, upper: Mapping[str, str], lower: Mapping[str, str]):
        self._upper, self._lower = upper, lower

    def __getitem__(self, key: str) -> str:
        return self._upper[key] if key in self._upper else self._lower[key]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._lower, **self._upper})

    def __len__(self) -> int:
        return len({*self._lower, *self._upper})


def _simulates(config: Mapping[str, Any]) -> bool:
    from srtctl.backends import BACKENDS

    backend = config.get("backend")
    entry = BACKENDS.get(str(backend.get("type"))) if isinstance(backend, dict) else None
    return entry is not None and not entry.engines_use_gpus


class Site:
    """Looks things up, each thing once, however many points ask."""

    def __init__(self, recipe: Path | None = None) -> None:
        recipe = recipe or invocation.current.get().recipe
        self._beside = recipe.absolute().parent if recipe is not None else Path.cwd()
        self._paths: dict[str, bool] = {}
        self._data: dict[str, str] = {}
        self._scripts: dict[str, tuple[str | None, str]] = {}
        self._programs: dict[str, tuple[Programs, list[Problem]]] = {}

    def view(self, job: JobConfig) -> tuple[SiteView, list[Problem]]:
        """The job as seen from here, and what is missing or wrong about programs."""
        model = self._model(job, job.model.path)
        tokenizer = self._model(job, job.model.tokenizer_path) if job.model.tokenizer_path else model
        script, fault = self._script(job.setup_script)
        programs, problems = self._find(job)
        facts = replace(
            self._machine,
            paths=self._existing(job, model, tokenizer),
            data_faults=self._data_faults(job),
            setup_script=fault,
        )
        return SiteView(facts, programs, model, tokenizer, script), problems

    @cached_property
    def _machine(self) -> SiteFacts:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        limit = None if hard == resource.RLIM_INFINITY else hard
        return SiteFacts(environment=frozenset(os.environ), open_files_limit=limit)

    def _model(self, job: JobConfig, named: str) -> str:
        """What `named` stands for: an alias, a built-in, a hub id, or a path made absolute."""
        path = job.cluster.model_paths.get(named, named)
        if path in BUILTIN_MODELS:
            return str(BUILTIN_MODELS[path])
        if path.startswith(HUB):
            return path.removeprefix(HUB)
        return str(self._beside / Path(path).expanduser())

    def _existing(self, job: JobConfig, *resolved: str) -> dict[str, bool]:
        """Each path that the checks ask about -> whether it is here, under the name that the job uses."""
        from srtctl.validate import paths_of

        found = {path: self._exists(path) for path in paths_of(job)}
        for named, path in zip((job.model.path, job.model.tokenizer_path), resolved, strict=False):
            if named:
                on_the_hub = not path.startswith("/")
                found[named] = on_the_hub or self._exists(path)
        return found

    def _data_faults(self, job: JobConfig) -> dict[str, str]:
        """What is wrong with the content of each data file that is here."""
        from srtctl.validate.benchmark import data_files

        found = {}
        for file in data_files(job):
            if file.path not in self._data and self._exists(file.path):
                try:
                    self._data[file.path] = file.fault(Path(file.path))
                except UnicodeDecodeError:
                    self._data[file.path] = "it is not a text in UTF-8"
                except OSError as error:
                    self._data[file.path] = error.strerror or str(error)
            if file.path in self._data:
                found[file.path] = self._data[file.path]
        return found

    def _exists(self, path: str) -> bool:
        if path not in self._paths:
            self._paths[path] = (self._beside / Path(path).expanduser()).exists()
        return self._paths[path]

    def _script(self, named: str | None) -> tuple[str | None, str]:
        """The text of the setup script and what is wrong with it."""
        if named is None:
            return None, ""
        if named not in self._scripts:
            self._scripts[named] = _read(self._beside / Path(named).expanduser())
        return self._scripts[named]

    def _find(self, job: JobConfig) -> tuple[Programs, list[Problem]]:
        from srtctl.tools.find import check_programs, is_foreign

        names = needed(job)
        on_nodes = job.cluster.executor != "local"
        architecture = job.cluster.architecture if on_nodes else None
        key = f"{names} {job.cluster.tools} {job.dynamo.version} {on_nodes} {architecture}"
        if key not in self._programs:
            self._programs[key] = check_programs(
                job.cluster.tools,
                names,
                dynamo_version=job.dynamo.version,
                on_nodes=on_nodes,
                architecture=architecture,
            )
        programs, problems = self._programs[key]
        if is_foreign(architecture) and job.cluster.python is None:
            problems = [*problems, _node_python(architecture)]
        return programs, problems


def is_relative_path(named: str | None, aliases: Mapping[str, str]) -> bool:
    """True for a path that means something else in another directory; an alias, a built-in and a hub id don't."""
    known = named is None or named in aliases or named in BUILTIN_MODELS or named.startswith(HUB)
    return not known and not Path(str(named)).expanduser().is_absolute()


def _node_python(architecture: str | None) -> Problem:
    message = f"the nodes are {architecture} (cluster.architecture), so srtctl's own interpreter does not run there"
    hint = "`srtctl init` asks a node for one and writes it into the cluster's file"
    return Problem("node-python", message, "cluster.python", allowed="the path of a Python >= 3.10 there", hint=hint)


def _read(path: Path) -> tuple[str | None, str]:
    try:
        return path.read_text(encoding="utf-8"), ""
    except UnicodeDecodeError:
        return None, "it is not a text in UTF-8"
    except OSError as error:
        return None, error.strerror or str(error)
