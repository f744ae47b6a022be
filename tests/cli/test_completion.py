"""What the shell offers; Hydra's own parser must never complain in the middle of the prompt."""

from __future__ import annotations

import pytest

from srtctl import cli


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("srtctl apply mode=di", {"mode=disagg"}),
        ("srtctl cluster=h", {"cluster=h100x8", "cluster=h200x8"}),
        ("srtctl validate benchmark.is", {"benchmark.isl="}),
        ("srtctl apply -f recipe.yaml --wait resources.agg_w", {"resources.agg_workers="}),
        ("srtctl dry-run -o out -m mode=agg,disagg model=t", {"model=tiny"}),
        ("srtctl -f recipe.yaml backend=sglang backend.sglang_c", {"backend.sglang_config."}),
        ("srtctl can", {"cancel"}),
        ("srtctl dry-run -f mo", set()),
        ("srtctl --cfg jo", set()),
        ("srtctl apply --js", {"--json"}),
        ("srtctl apply --re", {"--resume", "--resolve"}),
        ("srtctl dry-run -f r.yaml --ver", {"--verbose", "--version"}),
        ("srtctl logs pre", set()),
    ],
)
def test_completion(line, expected, capsys, monkeypatch):
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    assert cli.main(["-sc", "query=bash"]) == 0
    shown = capsys.readouterr()
    assert (set(shown.out.split()), shown.err) == (expected, "")


def test_verbs_and_groups_at_the_start(capsys, monkeypatch):
    monkeypatch.setenv("COMP_LINE", "srtctl ")
    monkeypatch.setenv("COMP_POINT", "7")
    cli.main(["-sc", "query=bash"])
    assert {"apply", "results", "mode=", "benchmark."} <= set(capsys.readouterr().out.split())
