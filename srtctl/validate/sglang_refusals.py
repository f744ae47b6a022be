"""What SGLang's own check of its arguments ends with, minutes after the job has its nodes: the cases that show before.

Each rule names where the release refuses, so that a newer one can be compared: `check_server_args`
(validation_hook.py), parallel_hook.py, pd_disaggregation_hook.py, speculative_hook.py and moe_hook.py of 0.5.23, in
earlier releases `server_args.py`. Read in 0.5.5.post2, 0.5.8.post1, 0.5.10.post1, 0.5.13.post1, 0.5.14, 0.5.16, 0.5.21
and 0.5.23.
"""

from __future__ import annotations

from collections.abc import Iterator

from srtctl.backends.kv_events import kv_events
from srtctl.backends.sglang_older import taken
from srtctl.errors import Problem, Severity
from srtctl.plan.demand import a_worker, gpus_per_node
from srtctl.validate.context import Context, Flag, Rule, as_integer, environments
from srtctl.validate.sglang_sizes import (
    OVER_ALL_RANKS,
    first_taken,
    is_on,
    release_of,
    replicas_and_ranks,
    since,
    size,
    text_of,
)

RULE = "refused"
LONGER_CONTEXT = "SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN"
NEEDS_STEPS = ("speculative-eagle-topk", "speculative-num-draft-tokens")
EAGLE_FAMILY = ("EAGLE", "EAGLE3", "NEXTN", "STANDALONE")
TREES_OF_PAGES = ("flashinfer", "fa3", "triton")
# Other flags that choose an all-to-all backend by themselves.
CHOOSE_BACKEND = (
    "enable-deepep-moe", "enable-waterfill", "enable-deepep-waterfill", "enable-prefill-cp",
    "enable-prefill-context-parallel", "enable-dsa-prefill-context-parallel", "enable-nsa-prefill-context-parallel",
)  # fmt: skip


def replicas_of_a_worker(context: Context) -> Iterator[Problem]:
    """`handle_data_parallelism`: no replicas beside attention ranks, and no head of theirs without such ranks;
    `check_server_args`: none over several nodes."""
    per_node = gpus_per_node(context.job) or 0
    known = taken(release_of(context), "attn-dp-size") or context.job.backend.flags == "translate"
    for role in context.workers:
        flags, dp, gpus = context.flags(role), size(context, role, "dp-size"), context.worker_gpus.get(role, 0)
        one, replicas = size(context, role, "tp-size") * size(context, role, "pp-size"), _replicas(context, role)
        if known and dp > 1 and size(context, role, "attn-dp-size") > 1:
            flag = flags["dp-size"]
            text = "SGLang takes no replicas (dp-size) beside ranks of DP attention (attn-dp-size)"
            yield Problem(RULE, text, flag.key, flag.value, "1", "attn-dp-size alone divides tp")
        elif replicas > 1 and 0 < per_node < gpus == replicas * one:
            flag, other = flags["dp-size"], first_taken(context, "attn-dp-size", "enable-dp-attention")
            text = f"SGLang keeps the replicas of {a_worker(role)} on one node, and this worker has several"
            yield Problem(RULE, text, flag.key, flag.value, "1", f"more workers instead, or {other}")
        if replicas > 1 and is_on(context, role, "enable-dp-lm-head"):
            flag = flags["enable-dp-lm-head"]
            yield Problem(RULE, "SGLang has such a head with DP attention only", flag.key, flag.value)


def _replicas(context: Context, role: str) -> int:
    return replicas_and_ranks(context, role)[0]


def running_requests(context: Context) -> Iterator[Problem]:
    """Attention ranks share max-running-requests, rounded down: none is left (`max_running_request is zero`).

    0.5.23 gives each rank one then, which is more than was asked for.
    """
    for role in context.workers:
        flag, ranks = context.flags(role).get("max-running-requests"), replicas_and_ranks(context, role)[1]
        running = None if flag is None else as_integer(flag.value)
        if flag is None or running is None or running >= ranks:
            continue
        old = not since(context, "0.5.22")
        text = f"{ranks} attention ranks share these requests, so that " + ("none" if old else "not one") + " is left"
        severity = Severity.ERROR if old else Severity.WARNING
        yield Problem(RULE, f"{text} for each", flag.key, flag.value, f"at least {ranks}", severity=severity)


def chunks_of_pages(context: Context) -> Iterator[Problem]:
    """`check_server_args`: a rank's chunk of prefill is whole pages. Attention ranks divide the chunk first.

    Some attention backends make larger pages of smaller ones, and 64 of larger: what isn't whole now isn't then either.
    """
    for role in context.workers:
        page, chunk = context.integer(role, "page-size"), context.flags(role).get("chunked-prefill-size")
        tokens = None if chunk is None else as_integer(chunk.value)
        if role == "decode" or chunk is None or not page or tokens is None or tokens < 1:
            continue
        ranks = replicas_and_ranks(context, role)[1]
        page = 64 if page % 64 == 0 else page
        if (tokens // ranks) % page:
            each = f" / {ranks} attention ranks = {tokens // ranks}" if ranks > 1 else ""
            text = f"{tokens} tokens{each} are no whole number of pages of {page}"
            yield Problem(RULE, text, chunk.key, chunk.value, f"a multiple of {page * ranks}")


def dense_layers(context: Context) -> Iterator[Problem]:
    """`check_server_args`; up to 0.5.10.post1 only 1."""
    for role in context.workers:
        flag, tp = context.flags(role).get("moe-dense-tp-size"), size(context, role, "tp-size")
        number = None if flag is None else as_integer(flag.value)
        sizes = (1, tp) if since(context, "0.5.11") else (1,)
        if flag is not None and number is not None and number not in sizes:
            text = "dense layers of a mixture of experts are split over one rank or all of them"
            yield Problem(RULE, text, flag.key, number, " or ".join(dict.fromkeys(map(str, sizes))))


def transfer(context: Context) -> Iterator[Problem]:
    """`handle_pd_disaggregation`, in 0.5.10.post1 already: a prefill worker hands over something real."""
    flag = context.flags("prefill").get("disaggregation-transfer-backend") if "prefill" in context.workers else None
    if flag is not None and flag.value == "fake" and since(context, "0.5.10.post1"):
        text = "SGLang's prefill servers refuse this backend; it is for decode servers that are measured alone"
        yield Problem(RULE, text, flag.key, flag.value, "mooncake, nixl or another that moves data")


def speculation(context: Context) -> Iterator[Problem]:
    """speculative_hook.py, `check_pipeline_parallel_compat`."""
    for role in context.workers:
        flag = context.flags(role).get("speculative-algorithm")
        if flag is None or not isinstance(flag.value, str):
            continue
        algorithm = flag.value.upper()
        if algorithm in EAGLE_FAMILY:
            yield from _steps(context, role)
            yield from _branches(context, role)
        if algorithm == "STANDALONE" and replicas_and_ranks(context, role)[1] > 1:
            yield Problem(RULE, "SGLang has no standalone drafts with DP attention", flag.key, flag.value)
        if algorithm == "DFLASH" and text_of(context, role, "speculative-draft-model-path") is None:
            text, hint = "DFLASH needs a draft model", "set speculative-draft-model-path"
            yield Problem(RULE, text, flag.key, flag.value, hint=hint)
        yield from _pipeline(context, role, flag)


def _steps(context: Context, role: str) -> Iterator[Problem]:
    """An `assert` without a word, or a comparison with None: steps and branches are given, or chosen, together."""
    if is_on(context, role, "speculative-adaptive"):
        return
    steps, branches = (context.flags(role).get(f"speculative-{name}") for name in ("num-steps", "eagle-topk"))
    if steps is not None and steps.value is not None:
        if branches is None or branches.value is None:
            text = "SGLang takes this only beside speculative-eagle-topk"
            yield Problem(RULE, text, steps.key, steps.value, hint="set speculative-eagle-topk, such as 1")
        return
    for name in NEEDS_STEPS:
        flag = context.flags(role).get(name)
        if flag is not None and flag.value is not None:
            text = "SGLang takes this only beside speculative-num-steps"
            yield Problem(RULE, text, flag.key, flag.value, hint="set speculative-num-steps, or leave both out")


def _branches(context: Context, role: str) -> Iterator[Problem]:
    """Trees of drafts over several pages need kernels that few backends have; before 0.5.14 fewer still."""
    topk, page = context.integer(role, "speculative-eagle-topk") or 1, context.integer(role, "page-size") or 1
    flag = context.flags(role).get("attention-backend")
    if topk > 1 and page > 1 and flag is not None and flag.value is not None and flag.value not in TREES_OF_PAGES:
        text = f"no backend for drafts with {topk} branches and pages of {page}"
        hint = "page-size: 1, or speculative-eagle-topk: 1"
        yield Problem(RULE, text, flag.key, flag.value, ", ".join(TREES_OF_PAGES), hint)


def _pipeline(context: Context, role: str, flag: Flag) -> Iterator[Problem]:
    if size(context, role, "pp-size") == 1 or any(
        "SGLANG_ENABLE_PP_SPEC" in env for _, env in environments(context.job)
    ):
        return
    if role != "prefill":
        text = "SGLang speculates with pipeline parallelism on prefill workers only"
        yield Problem(RULE, text, flag.key, flag.value, hint=f"pp-size: 1 for {role} workers")
    elif not since(context, "0.5.17"):
        text = f"SGLang {release_of(context).version} does not speculate with pipeline parallelism"
        yield Problem(RULE, text, flag.key, flag.value, hint="pp-size: 1")


def experts(context: Context) -> Iterator[Problem]:
    """moe_hook.py and `check_two_batch_overlap`."""
    for role in context.workers:
        flags, backend = context.flags(role), text_of(context, role, "moe-a2a-backend") or "none"
        overlap, mode = flags.get("enable-two-batch-overlap"), flags.get("deepep-mode")
        yield from _whole_groups(context, role, backend)
        chosen = any(name in flags for name in CHOOSE_BACKEND)
        # 0.5.23 takes DP attention instead of a backend, 0.5.14 doesn't yet
        free = chosen or replicas_and_ranks(context, role)[1] > 1 or not since(context, "0.5.8")
        if overlap is not None and overlap.value is True and backend == "none" and not free:
            text = "two batches overlap in the exchange between experts, and there is none"
            yield Problem(RULE, text, overlap.key, True, hint="set moe-a2a-backend, such as deepep")
        if backend != "deepep" or mode is None or mode.value != "normal":
            continue
        if text_of(context, role, "moe-runner-backend") == "flashinfer_cutedsl" and since(context, "0.5.21"):
            text = "flashinfer_cutedsl takes only low_latency of DeepEP, on prefill workers too"
            yield Problem(RULE, text, mode.key, mode.value, "low_latency or auto")
        elif role != "prefill":
            text = "with this mode SGLang captures no CUDA graphs, and decodes without them"
            yield Problem("slow-decode", text, mode.key, mode.value, "low_latency or auto", severity=Severity.WARNING)


def _whole_groups(context: Context, role: str, backend: str) -> Iterator[Problem]:
    """`handle_moe_kernel_config`, in 0.5.5.post2 already for the first of these."""
    flag, tp = context.flags(role).get("ep-size"), size(context, role, "tp-size")
    runner = text_of(context, role, "moe-runner-backend")
    whole = runner == "flashinfer_cutlass" or (runner == "flashinfer_cutedsl" and since(context, "0.5.21"))
    number = None if flag is None else as_integer(flag.value)
    if flag is not None and whole and backend not in OVER_ALL_RANKS and number not in (None, 1, tp):
        text = f"{runner} spreads experts over one rank or all {tp} of them"
        yield Problem(RULE, text, flag.key, number, f"1 or {tp}")


def served_names(context: Context) -> Iterator[Problem]:
    """`check_server_args`: a colon parts a model from its LoRA adapter."""
    names = {"model.served_name": context.job.model.served_name}
    for role in context.workers:
        flag = context.flags(role).get("served-model-name")
        if flag is not None and context.job.model.served_name is None:
            names[flag.key] = str(flag.value)
    for key, name in names.items():
        if name and ":" in name:
            text = "SGLang refuses a colon in the name of a model, which parts it from the name of an adapter"
            yield Problem(RULE, text, key, name)


def longer_context(context: Context) -> Iterator[Problem]:
    """`_derive_context_length` (model_config.py): a context longer than the model's is an accident, or said twice."""
    supported = context.job.model.max_context_length
    allowed = any(LONGER_CONTEXT in variables for _, variables in environments(context.job))
    for role in context.workers:
        flag = context.flags(role).get("context-length")
        length = None if flag is None else as_integer(flag.value)
        if flag is None or length is None or supported is None or length <= supported or allowed:
            continue
        if "json-model-override-args" not in context.flags(role):
            text = f"the model supports {supported} tokens (model.max_context_length), and SGLang refuses more"
            hint = f"set {LONGER_CONTEXT}=1, or scale with json-model-override-args"
            yield Problem(RULE, text, flag.key, flag.value, f"up to {supported}", hint, severity=Severity.WARNING)


def published_load(context: Context) -> Iterator[Problem]:
    """`check_load_publish_args`: routers find the load of a worker by its KV events."""
    setting = getattr(context.job.backend, "kv_events_config", None)
    for role in context.workers:
        flag, events = context.flags(role).get("load-publish-endpoint"), context.flags(role).get("kv-events-config")
        if flag is None or str(flag.value or "off").lower() == "off":
            continue
        if kv_events(setting, role) is None and (events is None or not events.value):
            text, hint = "SGLang takes this only with KV events", f"backend.kv_events_config.{role}=true"
            yield Problem(RULE, text, flag.key, flag.value, hint=hint)


RULES: tuple[Rule, ...] = (
    replicas_of_a_worker,
    running_requests,
    chunks_of_pages,
    dense_layers,
    transfer,
    speculation,
    experts,
    served_names,
    longer_context,
    published_load,
)
