"""What one rank may hand to the all-to-all kernels of its experts in one step: the sizes of buffers that are made once.

Source: `_decode_graph_dispatch_tokens_per_rank` of SGLang 0.5.23 (moe_hook.py), which refuses to start for `deepep_v2`;
under `deepep` the same step fails when a request comes.
"""

from __future__ import annotations

from collections.abc import Iterator

from srtctl.errors import Problem, Severity
from srtctl.validate.context import Context, Rule, as_integer
from srtctl.validate.sglang_sizes import first_taken, is_on, replicas_and_ranks, text_of

# Backend -> the variable that bounds it; each is 128 unless it is set.
VARIABLES = {
    "deepep": "SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK",
    "deepep_v2": "SGLANG_DEEPEP_V2_NUM_MAX_DISPATCH_TOKENS_PER_RANK",
}
DEFAULT_LIMIT = 128


def dispatch_tokens(context: Context) -> Iterator[Problem]:
    """R3: a decode step must fit what low-latency DeepEP dispatches from one rank."""
    for role in context.workers:
        backend, mode = text_of(context, role, "moe-a2a-backend"), text_of(context, role, "deepep-mode")
        variable = VARIABLES.get(backend or "")
        if variable is None or role == "prefill" or not _captures(context, role):
            continue
        if backend == "deepep" and mode == "normal":
            continue
        batch, drafts = _decode_batch(context, role), _draft_tokens(context, role)
        limit, key = _limit(context, role, variable)
        if batch is None or limit is None or batch * drafts <= limit:
            continue
        text = f"a decode step of a rank has up to {batch} requests x {drafts} tokens = {batch * drafts} tokens, "
        text += f"but DeepEP dispatches {limit}"
        hint = f"set {variable}, or lower {first_taken(context, 'cuda-graph-max-bs-decode', 'cuda-graph-max-bs')}"
        severity = Severity.ERROR if backend == "deepep_v2" else Severity.WARNING
        yield Problem("dispatch-tokens", text, key, limit, f"at least {batch * drafts}", hint, severity=severity)


def _captures(context: Context, role: str) -> bool:
    """Whether decode steps become graphs."""
    off = any(is_on(context, role, name) for name in ("disable-cuda-graph", "disable-decode-cuda-graph"))
    backend = text_of(context, role, "cuda-graph-backend-decode")
    return backend != "disabled" if backend is not None else not off


def _decode_batch(context: Context, role: str) -> int | None:
    """Requests of one rank in a captured decode step; None when no flag bounds them."""
    running = context.integer(role, "max-running-requests")
    per_rank = max(1, running // replicas_and_ranks(context, role)[1]) if running else None
    bounds = [bound for bound in (_largest_graph(context, role), per_rank) if bound]
    return min(bounds) if bounds else None


def _largest_graph(context: Context, role: str) -> int | None:
    """The sizes of graphs, where they are said, count for more than their maximum."""
    for name in ("cuda-graph-bs-decode", "cuda-graph-bs"):
        flag = context.flags(role).get(name)
        sizes = flag.value if flag is not None else None
        known = [as_integer(size) for size in sizes] if isinstance(sizes, (list, tuple)) else [as_integer(sizes)]
        if found := [size for size in known if size]:
            return max(found)
    return context.integer(role, "cuda-graph-max-bs-decode") or context.integer(role, "cuda-graph-max-bs")


def _draft_tokens(context: Context, role: str) -> int:
    """Tokens that a step verifies for each request; without trees that is a token for each step, and one."""
    if text_of(context, role, "speculative-algorithm") is None:
        return 1
    steps, branches = (context.integer(role, f"speculative-{name}") for name in ("num-steps", "eagle-topk"))
    drafts = context.integer(role, "speculative-num-draft-tokens")
    return steps + 1 if steps and branches == 1 else drafts or 1


def _limit(context: Context, role: str, variable: str) -> tuple[int | None, str]:
    """The variable of the role, its strongest layer, and where to set it."""
    job = context.job
    own = f"backend.{role}_environment"
    for where, variables in (
        (own, getattr(job.backend, f"{role}_environment")),
        ("environment", job.environment),
        ("cluster.environment", job.cluster.environment),
    ):
        if variable in variables:
            return as_integer(variables[variable]), f"{where}.{variable}"
    return DEFAULT_LIMIT, f"{own}.{variable}"


RULES: tuple[Rule, ...] = (dispatch_tokens,)
