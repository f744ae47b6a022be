"""What is made for newer GPUs than the cluster has, said before an allocation is spent on finding out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from srtctl.errors import Problem, Severity
from srtctl.validate.context import Context, Flag, Rule
from srtctl.validate.gpus import BLACKWELL, compute_capability

_MLA = ("trtllm_mla", "cutlass_mla")
_FOR_BLACKWELL: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("attention-backend", "prefill-attention-backend", "decode-attention-backend"), _MLA),
    "moe-runner-backend": ("flashinfer_trtllm", "flashinfer_trtllm_routed", "flashinfer_cutedsl"),
    "moe-a2a-backend": ("megamoe", "flashinfer_megamoe"),
}
"""Flag -> choices whose kernels need Blackwell GPUs."""
_NVFP4 = ("nvfp4", "modelopt_fp4")
_ANYWHERE = ("auto", "marlin", "lora_marlin")


def blackwell(context: Context) -> Iterator[Problem]:
    """Weights and kernels that need Blackwell, on GPUs that are known to be older."""
    cluster = context.job.cluster
    gpu = cluster.gpu_type or context.job.resources.gpu_type
    capability = compute_capability(gpu)
    if cluster.simulated_gpus or capability is None or capability >= BLACKWELL:
        return
    for role in context.workers:
        flags = context.flags(role)
        nvfp4 = _nvfp4(context, flags)
        runner = flags.get("moe-runner-backend")
        if nvfp4 is not None and runner is not None and str(runner.value) not in _ANYWHERE:
            message = f"with NVFP4 weights SGLang has this backend on Blackwell GPUs only, and the cluster's are {gpu}"
            yield Problem("blackwell", message, runner.key, runner.value, "auto or marlin", _hint(gpu))
        elif nvfp4 is not None:
            key, value = nvfp4
            message = f"NVFP4 weights are made for Blackwell GPUs, and the cluster's are {gpu}: newer releases of "
            message += "SGLang unpack them there (Marlin kernels), older ones refuse them"
            yield Problem("blackwell", message, key, value, hint=_hint(gpu), severity=Severity.WARNING)
        yield from _kernels(flags, str(gpu), skip=runner if nvfp4 is not None else None)


def _nvfp4(context: Context, flags: Mapping[str, Flag]) -> tuple[str, object] | None:
    """(key, value) that says that the weights are NVFP4."""
    quantization, precision = flags.get("quantization"), context.job.model.precision
    if quantization is not None and str(quantization.value) in _NVFP4:
        return quantization.key, quantization.value
    if precision is not None and precision.lower() in _NVFP4:
        return "model.precision", precision
    return None


def _kernels(flags: Mapping[str, Flag], gpu: str, skip: Flag | None) -> Iterator[Problem]:
    for name, choices in _FOR_BLACKWELL.items():
        flag = flags.get(name)
        if flag is not None and flag is not skip and str(flag.value) in choices:
            message = f"its kernels are made for Blackwell GPUs, and the cluster's are {gpu}"
            yield Problem("blackwell", message, flag.key, flag.value, hint=_hint(gpu), severity=Severity.WARNING)


def _hint(gpu: str | None) -> str:
    return f"choose a cluster with such GPUs, or what is made for {gpu} (docs/reference/modes)"


RULES: tuple[Rule, ...] = (blackwell,)
