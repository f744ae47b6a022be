"""What SGLang refuses, and what published recipes show to be wrong: the rules over a worker's flags.

An error is what SGLang itself refuses or what its GPUs can't hold; a rule that was only seen to hold in recipes warns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from srtctl.errors import Problem, Severity
from srtctl.plan.demand import a_worker
from srtctl.validate.context import Context, Rule, as_integer

DISPATCH_VARIABLE = "SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK"
DISPATCH_DEFAULT = 128
_NOT_POSITIVE = re.compile(r"-\d+|0+")


def parallel_sizes(context: Context) -> Iterator[Problem]:
    """Sizes are positive; that they are integers the release's table says."""
    for role in context.workers:
        for name in ("tp-size", "pp-size", "dp-size", "ep-size", "attn-dp-size"):
            flag = context.flags(role).get(name)
            if flag is not None and _NOT_POSITIVE.fullmatch(str(flag.value)):
                yield Problem("parallel-size", "must be positive", flag.key, flag.value, "1 or more")


def gpus_of_a_worker(context: Context) -> Iterator[Problem]:
    """R1: what a worker's ranks need is what placement gives them."""
    for role, gpus in context.worker_gpus.items():
        tp, pp, dp = (_size(context, role, name) for name in ("tp-size", "pp-size", "dp-size"))
        replicas = 1 if _dp_attention(context, role) else dp
        needed = tp * pp * replicas
        if needed == gpus:
            continue
        product = f"tp {tp}" + (f" x pp {pp}" if pp > 1 else "") + (f" x dp {dp}" if replicas > 1 else "")
        equal = f" = {needed}" if pp * replicas > 1 else ""
        flag = context.flags(role).get("tp-size")
        key = flag.key if flag is not None else f"backend.sglang_config.{role}.tp-size"
        text = f"{product}{equal} of SGLang, but {a_worker(role)} has {gpus} GPUs"
        hint = (
            "dp without DP attention multiplies the GPUs; enable-dp-attention divides tp instead"
            if replicas > 1
            else ""
        )
        idle = needed < gpus
        if idle:
            text += f": {gpus - needed} of them stay idle"
        yield Problem(
            "worker-gpus",
            text,
            key,
            flag.value if flag else tp,
            f"tp x pp = {gpus}",
            hint,
            severity=Severity.WARNING if idle else Severity.ERROR,
        )


def data_parallel(context: Context) -> Iterator[Problem]:
    """dp must divide tp under DP attention; R1b: recipes have 1 or tp."""
    for role in context.workers:
        if not _dp_attention(context, role):
            continue
        tp, dp = _size(context, role, "tp-size"), _attention_dp(context, role)
        flag = context.flags(role).get("attn-dp-size") or context.flags(role).get("dp-size")
        key = flag.key if flag else f"backend.sglang_config.{role}.dp-size"
        if tp % dp:
            yield Problem(
                "dp-divides-tp", f"with DP attention dp must divide tp, which is {tp}", key, dp, _divisors(tp)
            )
        elif dp not in (1, tp):
            yield Problem(
                "dp-size",
                f"with DP attention published recipes have dp 1 or {tp} (tp)",
                key,
                dp,
                severity=Severity.WARNING,
            )


def expert_parallel(context: Context) -> Iterator[Problem]:
    """R1c: recipes have ep 1 or tp; R2: the experts, redundant ones too, must spread evenly."""
    for role in context.workers:
        flag = context.flags(role).get("ep-size")
        ep = None if flag is None else as_integer(flag.value)
        if flag is None or ep is None or ep < 1:
            continue
        tp = _size(context, role, "tp-size")
        if ep not in (1, tp):
            yield Problem(
                "ep-size", f"published recipes have ep 1 or {tp} (tp)", flag.key, ep, severity=Severity.WARNING
            )
        experts = context.job.model.experts
        redundant = context.integer(role, "ep-num-redundant-experts") or 0
        if experts and (experts + redundant) % ep:
            text = f"{experts} experts + {redundant} redundant ones do not divide by ep {ep}"
            need = -(experts % -ep)
            yield Problem("experts", text, flag.key, ep, hint=f"ep-num-redundant-experts: {need} would do")


def dispatch_tokens(context: Context) -> Iterator[Problem]:
    """R3: a decode step must fit what low-latency DeepEP dispatches from one rank."""
    for role in context.workers:
        flags = context.flags(role)
        backend, mode = flags.get("moe-a2a-backend"), flags.get("deepep-mode")
        if backend is None or backend.value not in ("deepep", "deepep_v2") or "disable-cuda-graph" in flags:
            continue
        if role == "prefill" or (mode is not None and mode.value == "normal"):
            continue
        batch, drafts = _decode_batch(context, role), context.integer(role, "speculative-num-draft-tokens") or 1
        limit, key = _dispatch_limit(context, role)
        if batch is None or limit is None or batch * drafts <= limit:
            continue
        text = f"a decode step of a rank has up to {batch} requests x {drafts} tokens = {batch * drafts} tokens, "
        text += f"but DeepEP dispatches {limit}"
        severity = Severity.ERROR if backend.value == "deepep_v2" else Severity.WARNING
        yield Problem(
            "dispatch-tokens",
            text,
            key,
            limit,
            f"at least {batch * drafts}",
            f"set {DISPATCH_VARIABLE}, or lower cuda-graph-max-bs",
            severity=severity,
        )


def _decode_batch(context: Context, role: str) -> int | None:
    """Requests of one rank in a captured decode step; None when no flag bounds them."""
    graph = context.integer(role, "cuda-graph-max-bs-decode") or context.integer(role, "cuda-graph-max-bs")
    running = context.integer(role, "max-running-requests")
    per_rank = running // max(1, _attention_dp(context, role)) if running else None
    bounds = [bound for bound in (graph, per_rank) if bound]
    return min(bounds) if bounds else None


def _dispatch_limit(context: Context, role: str) -> tuple[int | None, str]:
    """The variable of the role, its strongest layer, and where to set it."""
    job = context.job
    own = f"backend.{role}_environment"
    for where, variables in (
        (own, getattr(job.backend, f"{role}_environment")),
        ("environment", job.environment),
        ("cluster.environment", job.cluster.environment),
    ):
        if DISPATCH_VARIABLE in variables:
            return as_integer(variables[DISPATCH_VARIABLE]), f"{where}.{DISPATCH_VARIABLE}"
    return DISPATCH_DEFAULT, f"{own}.{DISPATCH_VARIABLE}"


def served_name(context: Context) -> Iterator[Problem]:
    """One name for all: the job's, else the first that an engine flag gives."""
    name: object = context.job.model.served_name
    for role in ("prefill", "aggregated", "decode"):
        flag = context.flags(role).get("served-model-name") if role in context.workers else None
        if flag is None or not flag.value:
            continue
        name = name or flag.value
        if flag.value != name:
            text = f"the model is served as {name!r}; the value given here is not used"
            hint = f"model.served_name={flag.value}, if that is the name"
            yield Problem("owned-flag", text, flag.key, flag.value, hint=hint, severity=Severity.WARNING)


def both_roles(context: Context) -> Iterator[Problem]:
    """R7, R7b: prefill and decode hand a KV cache over, so what shapes it should agree."""
    if not {"prefill", "decode"} <= set(context.workers):
        return
    prefill, decode = context.flags("prefill"), context.flags("decode")
    for name in ("disaggregation-transfer-backend", "kv-cache-dtype", "attention-backend", "page-size"):
        ours, theirs = prefill.get(name), decode.get(name)
        if ours is not None and theirs is not None and str(ours.value) != str(theirs.value):
            yield Problem(
                "same-on-both-roles",
                f"prefill has {ours.value!r}; in published recipes both roles have the same",
                theirs.key,
                theirs.value,
                severity=Severity.WARNING,
            )
        elif name == "page-size" and theirs is not None and ours is None:
            yield Problem(
                "same-on-both-roles",
                "only decode has a page size; in published recipes both roles have the same",
                theirs.key,
                theirs.value,
                severity=Severity.WARNING,
            )


def context_length(context: Context) -> Iterator[Problem]:
    """R4: SGLang refuses a request that is longer than its context."""
    isl, osl = (as_integer(getattr(context.job.benchmark, name, None)) for name in ("isl", "osl"))
    if not isl or not osl or context.job.benchmark.type == "manual":
        return
    need, supported = isl + osl, context.job.model.max_context_length
    for role in context.workers:
        flag = context.flags(role).get("context-length")
        length = None if flag is None else as_integer(flag.value)
        if flag is not None and length is not None and length < need:
            yield Problem(
                "context-length",
                f"requests have up to {isl} + {osl} = {need} tokens",
                flag.key,
                length,
                f"at least {need}",
            )
        elif flag is None and supported is not None and supported < need:
            text = f"requests have up to {isl} + {osl} = {need} tokens, the model supports {supported}"
            yield Problem("context-length", text, "benchmark.isl", isl, f"isl + osl up to {supported}")
            return


def _size(context: Context, role: str, name: str) -> int:
    return max(1, context.integer(role, name) or 1)


def _dp_attention(context: Context, role: str) -> bool:
    flags = context.flags(role)
    enabled = flags.get("enable-dp-attention")
    return (enabled is not None and enabled.value is True) or "attn-dp-size" in flags


def _attention_dp(context: Context, role: str) -> int:
    own = context.integer(role, "attn-dp-size")
    return max(1, own) if own else _size(context, role, "dp-size")


def _divisors(number: int) -> str:
    return ", ".join(str(n) for n in range(1, min(number, 4096) + 1) if number % n == 0)


RULES: tuple[Rule, ...] = (
    parallel_sizes,
    gpus_of_a_worker,
    data_parallel,
    expert_parallel,
    dispatch_tokens,
    both_roles,
    served_name,
    context_length,
)
