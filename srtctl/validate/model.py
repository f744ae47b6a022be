"""The model and the container that holds its engine."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from srtctl.errors import Problem, Severity, suggestion
from srtctl.schema import JobConfig
from srtctl.validate.context import Context, Rule

BUILTIN_MODELS = ("tiny",)

_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*")
_PATH_FORMS = "a path, an alias of cluster.model_paths, hf:org/name, or builtin:tiny"
_PRECISIONS = (
    *("fp32", "fp16", "bf16", "fp8", "fp4", "nvfp4", "mxfp8", "mxfp6", "mxfp4", "int8", "int4", "nf4"),
    *("w8a8", "w4a16", "w4a8", "w4afp8", "awq", "gptq", "float32", "float16", "bfloat16", "mixed"),
)
_CHECKED_THERE = "it is checked when the job starts"
_MOUNT_MARKS = ":,"
_IMAGE_FORMS = "an alias of cluster.containers, an absolute path of a .sqsh file, or a registry URI"


def resolved_model_path(job: JobConfig) -> str:
    """`model.path` with the cluster's alias replaced."""
    return job.cluster.model_paths.get(job.model.path, job.model.path)


def is_hub_id(text: str) -> bool:
    """Whether a text has the form `org/name`."""
    return _HUB_ID.fullmatch(text) is not None


def resolved_image(job: JobConfig, image: str) -> str:
    """An image with the cluster's alias replaced."""
    return job.cluster.containers.get(image, image)


def model_paths(context: Context) -> Iterator[Problem]:
    """The paths of model and tokenizer mean something, and are there where that can be seen."""
    model = context.job.model
    yield from _named(context, "model.path", model.path)
    if model.tokenizer_path is not None:
        yield from _named(context, "model.tokenizer_path", model.tokenizer_path)


def _named(context: Context, key: str, written: str) -> Iterator[Problem]:
    table, paths = context.job.cluster.model_paths, context.facts.paths
    path = table.get(written, written)
    kind, colon, rest = path.partition(":")
    if colon and kind == "hf":
        if not is_hub_id(rest):
            yield Problem("model-path", "is no id of the Hugging Face hub", key, path, "hf:org/name")
    elif colon and kind == "builtin":
        if rest not in BUILTIN_MODELS:
            yield Problem("model-path", "there is no such built-in model", key, path, "builtin:tiny")
    elif path.startswith(("/", "./", "../", "~/")):
        if paths.get(path, paths.get(written)) is False:
            yield context.absent(key, path, _CHECKED_THERE)
        if context.job.cluster.container_runtime != "none" and any(mark in path for mark in _MOUNT_MARKS):
            yield Problem("mount", "has a character that separates mounts", key, path, "a path without : and ,")
    elif not paths.get(path):
        yield _no_alias(written, path, key, table)


def _no_alias(written: str, path: str, key: str, table: Mapping[str, str]) -> Problem:
    hint = suggestion(written, table)
    if not hint and _HUB_ID.fullmatch(path):
        hint = f"did you mean hf:{path}?"
    aliases = f" (aliases: {', '.join(sorted(table))})" if table else ""
    message = "is neither a path that exists nor a model alias of this cluster"
    return Problem("model-path", message, key, written, _PATH_FORMS + aliases, hint)


def further_settings(context: Context) -> Iterator[Problem]:
    """The directory that weights are copied to, and the revision of a model of the hub."""
    model = context.job.model
    marked = model.stage_dir is not None and any(mark in model.stage_dir for mark in _MOUNT_MARKS)
    if marked and context.job.cluster.container_runtime != "none":
        message = "has a character that separates mounts"
        yield Problem("mount", message, "model.stage_dir", model.stage_dir, "a path without : and ,")
    if model.stage_dir is not None and not model.stage_dir.startswith("/"):
        yield Problem("model-path", "must be an absolute path", "model.stage_dir", model.stage_dir)
    if model.revision is not None and not resolved_model_path(context.job).startswith("hf:"):
        what = "only models of the hub have revisions"
        yield Problem("model-revision", what, "model.revision", model.revision, "model.path=hf:org/name")


def precision(context: Context) -> Iterator[Problem]:
    """Any text is taken, since formats come and go; one that nobody has heard of is mostly a slip of the finger."""
    written = context.job.model.precision
    if written is None or written.lower() in _PRECISIONS:
        return
    message = "is no precision that srtctl knows; it only stands in the results"
    hint = suggestion(written, _PRECISIONS)
    yield Problem("precision", message, "model.precision", written, hint=hint, severity=Severity.WARNING)


def containers(context: Context) -> Iterator[Problem]:
    """Images that mean something, one where containers are used, and none where they are not."""
    job = context.job
    images = (
        ("model.container", job.model.container),
        ("frontend.nginx_container", job.frontend.nginx_container),
        ("benchmark.container_image", getattr(job.benchmark, "container_image", None)),
    )
    if job.cluster.container_runtime == "none":
        for key, image in images:
            if image:
                yield Problem(
                    "unused-container",
                    f"cluster {job.cluster.name!r} runs no containers, so the image is not used",
                    key,
                    image,
                    severity=Severity.WARNING,
                )
        return
    if job.model.container is None:
        yield Problem(
            "container",
            f"cluster {job.cluster.name!r} runs every process in a container, and none is named",
            "model.container",
            allowed=_IMAGE_FORMS,
        )
    for key, image in images:
        if isinstance(image, str):
            yield from _image(context, key, image)


def _image(context: Context, key: str, written: str) -> Iterator[Problem]:
    table = context.job.cluster.containers
    image = resolved_image(context.job, written)
    if image.startswith("/"):
        if context.facts.paths.get(image) is False:
            yield context.absent(key, image, _CHECKED_THERE)
    elif re.search(r"\s", image) or not image:
        yield Problem("container", "is no image", key, written, _IMAGE_FORMS)
    elif not any(mark in image for mark in "/:#"):
        aliases = f" (aliases: {', '.join(sorted(table))})" if table else ""
        yield Problem(
            "container",
            "is no container alias of this cluster",
            key,
            written,
            _IMAGE_FORMS + aliases,
            suggestion(written, table),
        )


def gpu_types(context: Context) -> Iterator[Problem]:
    """A job made for one GPU does not run on another's cluster by accident."""
    wanted, there = context.job.resources.gpu_type, context.job.cluster.gpu_type
    if wanted and there and wanted.lower() != there.lower() and not context.job.cluster.simulated_gpus:
        yield Problem(
            "gpu-type",
            f"cluster {context.job.cluster.name!r} has {there} GPUs",
            "resources.gpu_type",
            wanted,
            there,
            "choose another cluster, or leave resources.gpu_type out",
        )


def simulated_gpus(context: Context) -> Iterator[Problem]:
    """A real engine finds no GPU where there is none."""
    job = context.job
    if not job.cluster.simulated_gpus or job.backend.type != "sglang":
        return
    for role in context.workers:
        device = context.flags(role).get("device")
        if device is None or device.value != "cpu":
            yield Problem(
                "simulated-gpus",
                f"the GPUs of cluster {job.cluster.name!r} exist only on paper; SGLang needs real ones",
                "backend.type",
                job.backend.type,
                severity=Severity.WARNING,
                hint="backend=mocker simulates the engine; cluster.simulated_gpus=false where there are GPUs",
            )
            return


def simulated_engine(context: Context) -> Iterator[Problem]:
    """A shape made for a real engine, simulated on real GPUs: mostly because nobody chose the engine."""
    job = context.job
    if job.backend.type != "mocker" or job.cluster.simulated_gpus or job.cluster.executor == "local":
        return
    if any(flags for flags in vars(job.backend.sglang_config).values()):
        yield Problem(
            "simulated-engine",
            "mockers only simulate an engine: the flags of SGLang in this job (its mode's, its recipe's) are not used, "
            "and the GPUs that it asks for stay idle",
            "backend.type",
            job.backend.type,
            severity=Severity.WARNING,
            hint="backend=sglang serves the model; cluster.simulated_gpus=true asks for no GPU",
        )


def weights_fit(context: Context) -> Iterator[Problem]:
    """The weights are not larger than the memory of the GPUs that share them, where both are known."""
    weights, memory = context.job.model.weights_gib, context.job.cluster.gpu_memory_gib
    if not weights or not memory or context.job.backend.type == "mocker":
        return
    if memory < 0 or not math.isfinite(weights):
        return  # refused as a value, or no size at all
    for role, gpus in context.worker_gpus.items():
        offloaded = context.flags(role).get("cpu-offload-gb")
        if weights < gpus * memory or (offloaded is not None and offloaded.value):
            continue
        fewest = int(weights // memory) + 1
        key = f"resources.gpus_per_{'agg' if role == 'aggregated' else role}"
        there = f"{gpus} x {memory:g} = {gpus * memory:.0f} GiB"
        text = f"the weights ({weights:g} GiB) are larger than the memory of one {role} worker's GPUs ({there})"
        yield Problem("weights", text, key, gpus, f"at least {fewest}", "or choose a cluster with larger GPUs")


RULES: tuple[Rule, ...] = (
    model_paths,
    further_settings,
    precision,
    containers,
    gpu_types,
    simulated_gpus,
    simulated_engine,
    weights_fit,
)
