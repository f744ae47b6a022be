"""What SGLang refuses, and what published recipes show to be wrong: the rules over a worker's flags.

An error is what SGLang itself refuses or what its GPUs can't hold; a rule that was only seen to hold in recipes warns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from srtctl.errors import Problem, Severity
from srtctl.plan.demand import a_worker
from srtctl.validate.context import Context, Rule, as_integer
from srtctl.validate.sglang_sizes import OVER_ALL_RANKS, first_taken, replicas_and_ranks, size, text_of

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
        tp, pp = size(context, role, "tp-size"), size(context, role, "pp-size")
        replicas, _ = replicas_and_ranks(context, role)
        needed = tp * pp * replicas
        if needed == gpus:
            continue
        product = f"tp {tp}" + (f" x pp {pp}" if pp > 1 else "") + (f" x dp {replicas}" if replicas > 1 else "")
        equal = f" = {needed}" if pp * replicas > 1 else ""
        flag = context.flags(role).get("tp-size")
        key = flag.key if flag is not None else f"backend.sglang_config.{role}.tp-size"
        text = f"{product}{equal} of SGLang, but {a_worker(role)} has {gpus} GPUs"
        divides = first_taken(context, "attn-dp-size", "enable-dp-attention")
        hint = f"dp without DP attention multiplies the GPUs; {divides} divides tp instead" if replicas > 1 else ""
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
        _, dp = replicas_and_ranks(context, role)
        if dp == 1:
            continue
        tp, flags = size(context, role, "tp-size"), context.flags(role)
        flag = flags["attn-dp-size"] if context.integer(role, "attn-dp-size") == dp else flags["dp-size"]
        if tp % dp:
            text = f"with DP attention dp must divide tp, which is {tp}"
            yield Problem("dp-divides-tp", text, flag.key, dp, _divisors(tp))
        elif dp != tp:
            text = f"with DP attention published recipes have dp 1 or {tp} (tp)"
            yield Problem("dp-size", text, flag.key, dp, severity=Severity.WARNING)


def expert_parallel(context: Context) -> Iterator[Problem]:
    """R1c: recipes have ep 1 or tp; R2: the experts, redundant ones too, must spread evenly."""
    for role in context.workers:
        tp, flag = size(context, role, "tp-size"), context.flags(role).get("ep-size")
        ep = None if flag is None else as_integer(flag.value)
        spread = text_of(context, role, "moe-a2a-backend") in OVER_ALL_RANKS
        if flag is not None and ep not in (None, 0, 1, tp) and not spread:
            yield Problem(
                "ep-size", f"published recipes have ep 1 or {tp} (tp)", flag.key, ep, severity=Severity.WARNING
            )
        over = tp if spread else ep or 1
        experts = context.job.model.experts
        redundant = context.integer(role, "ep-num-redundant-experts") or 0
        if experts and (experts + redundant) % over:
            text = f"{experts} experts + {redundant} redundant ones do not divide by ep {over}"
            key = flag.key if flag is not None else f"backend.sglang_config.{role}.ep-num-redundant-experts"
            need = -(experts % -over)
            hint = f"ep-num-redundant-experts: {need} would do"
            yield Problem("experts", text, key, ep if flag is not None else redundant, hint=hint)


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


def _divisors(number: int) -> str:
    return ", ".join(str(n) for n in range(1, min(number, 4096) + 1) if number % n == 0)


RULES: tuple[Rule, ...] = (
    parallel_sizes,
    gpus_of_a_worker,
    data_parallel,
    expert_parallel,
    both_roles,
    served_name,
    context_length,
)
