"""The published shapes on the releases that they were measured with, and on every one since: translated, they say the
same. What a set of flags says is read here by hand from SGLang's sources, not by srtctl's tables of names."""

from __future__ import annotations

from typing import Any

import pytest

from srtctl.backends.sglang_flags import layered
from srtctl.backends.sglang_releases import order, releases
from srtctl.errors import Severity
from srtctl.plan.model import ROLES
from srtctl.validate import SiteFacts, sglang, sglang_releases
from srtctl.validate.context import Context
from tests.groups.modes import NEEDS, config_for, job_of, published


def meaning(flags: dict[str, Any], version: str) -> dict[str, Any]:
    """What flags mean to a release, in words that are no release's: `handle_deprecated_dp_attention`,
    `parse_cuda_graph_config` and `_handle_deprecated_args` of 0.5.23 and 0.5.14, `server_args` of 0.5.8.post1 and
    0.5.13.post1, `init_piecewise_cuda_graphs` of both."""
    left = dict(flags)

    def since(release: str) -> bool:
        return order(version) >= order(release)

    def said(name: str, *, first: str = "0.5.4", gone: str = "9.9") -> Any:
        value = left.pop(name, None)
        assert value is None or (since(first) and not since(gone)), f"{version} has no {name}"
        return None if value is False else value

    ranks, replicas = said("attn-dp-size", first="0.5.22") or 1, said("dp-size") or 1
    if said("enable-dp-attention") and ranks == 1:
        ranks, replicas = replicas, 1
    off = said("disable-cuda-graph")
    decode = said("cuda-graph-backend-decode", first="0.5.14") or ("disabled" if off else None)
    prefill = said("cuda-graph-backend-prefill", first="0.5.14") or ("disabled" if off and since("0.5.14") else None)
    if said("disable-piecewise-cuda-graph", first="0.5.10", gone="0.5.20"):
        prefill = "disabled"
    fusion = said("flashinfer-allreduce-fusion-backend", first="0.5.14")
    fusion = fusion or ("auto" if said("enable-flashinfer-allreduce-fusion") else None)
    largest = said("cuda-graph-max-bs", gone="0.5.20") or said("cuda-graph-max-bs-decode", first="0.5.14")
    sizes = said("cuda-graph-bs", gone="0.5.20") or said("cuda-graph-bs-decode", first="0.5.14")
    by_hand = {"attention ranks": ranks, "replicas": replicas, "decode graphs": decode, "fusion": fusion}
    return by_hand | {"largest graph": largest, "graphs": sizes, "prefill graphs": prefill} | left


def same(written: dict[str, Any], made: dict[str, Any], version: str) -> None:
    then, now = meaning(made, version), meaning(written, releases()[-1])
    if order(version) < order("0.5.10") and now["prefill graphs"] == "disabled":
        then["prefill graphs"] = "disabled"  # there are none: enable-piecewise-cuda-graph isn't said
    assert then == now


@pytest.mark.parametrize("mode", published())
def test_a_published_shape_on_every_release(mode: str) -> None:
    written = {role: dict(layered(job_of(config_for(mode, releases()[-1])), role).values) for role in ROLES}
    for version in releases():
        job = job_of(config_for(mode, version))
        context = Context(job, SiteFacts())
        problems = [p for rule in (*sglang_releases.RULES, *sglang.RULES) for p in rule(context)]
        refused = {(p.key.rpartition(".")[2], p.value) for p in problems if p.severity is Severity.ERROR}
        texts = {pair for flags in written.values() for pair in flags.items() if isinstance(pair[1], str)}
        assert refused == {pair for pair in texts & NEEDS.keys() if order(NEEDS[pair]) > order(version)}, version
        for role, flags in written.items():
            same(flags, dict(layered(job, role).values), version)
