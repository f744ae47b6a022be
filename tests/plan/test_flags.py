"""Layers of engine flags and the arguments they become."""

from __future__ import annotations

from typing import Any

import pytest

from srtctl.backends import BACKENDS
from srtctl.backends.flags import canonical, to_argv
from srtctl.backends.mocker import MockerParams
from srtctl.backends.sglang import SglangParams
from srtctl.backends.sglang_flags import layered as layered_flags
from srtctl.schema import RoleFlags
from tests.plan.jobs import disagg


@pytest.mark.parametrize(
    ("flags", "argv"),
    [
        ({"b": 1, "a": "x"}, ["--a", "x", "--b", "1"]),
        ({"on": True, "off": False, "none": None}, ["--on"]),
        ({"mem": 0.85, "tiny": 1e-05}, ["--mem", "0.85", "--tiny", "1e-05"]),
        ({"bs": [1, 2, 4], "empty": []}, ["--bs", "1", "2", "4"]),
        ({"config": {"a": [1], "b": None}}, ["--config", '{"a": [1], "b": null}']),
        ({"n": -1, "text": "-x"}, ["--n", "-1", "--text=-x"]),
        (
            {"a": -0.5, "b": -1e16, "c": -1e-7},
            ["--a", "-0.5", "--b=-1e+16", "--c=-1e-07"],
        ),  # argparse knows no exponents
    ],
)
def test_arguments(flags: dict[str, Any], argv: list[str]) -> None:
    assert to_argv(flags) == argv


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("tensor_parallel_size", "tensor-parallel-size"),
        ("--ep-size", "ep-size"),
        ("trust_remote_code", "trust-remote-code"),
    ],
)
def test_one_spelling(written: str, name: str) -> None:
    assert canonical(written) == name


def layered() -> Any:
    made = disagg(backend="sglang")
    made.model.engine_flags = RoleFlags({"tp-size": 1, "log-level": 1}, prefill={"log-level": 2, "port": 2})
    assert isinstance(made.backend, SglangParams)
    made.backend.sglang_config = RoleFlags(
        {"port": 3, "dtype": 3}, prefill={"dtype": 4, "tensor-parallel-size": 4}, decode={"log-level": None}
    )
    return made


def test_the_job_stands_over_the_model_and_the_role_over_what_is_common() -> None:
    flags = BACKENDS["sglang"].flags
    assert flags(layered(), "prefill") == {"tp-size": 4, "log-level": 2, "port": 3, "dtype": 4}
    assert flags(layered(), "decode") == {"tp-size": 1, "log-level": None, "port": 3, "dtype": 3}


def test_sources_name_the_key_as_it_was_written() -> None:
    made = layered()
    sources = layered_flags(made, "prefill").sources
    assert sources == {
        "tp-size": "backend.sglang_config.prefill.tensor-parallel-size",
        "log-level": "model.engine_flags.prefill.log-level",
        "port": "backend.sglang_config.common.port",
        "dtype": "backend.sglang_config.prefill.dtype",
    }


def test_flags_that_placement_decides() -> None:
    made = disagg(backend="sglang")
    assert isinstance(made.backend, SglangParams)
    made.backend.sglang_config = RoleFlags(
        prefill={"host": "0.0.0.0", "disaggregation-mode": "prefill", "served-model-name": "x"},
        decode={"disaggregation_mode": "prefill", "tp": 1, "tp-size": 2},
    )
    found = {(problem.rule, problem.key): problem for problem in BACKENDS["sglang"].check(made)}
    assert set(found) == {
        ("owned-flag", "backend.sglang_config.prefill.host"),
        ("owned-flag", "backend.sglang_config.decode.disaggregation_mode"),
        ("doubled-flag", "backend.sglang_config.decode.tp-size"),
    }
    # Whoever overrides a recipe's flag under another name learns which name it has there.
    assert found["doubled-flag", "backend.sglang_config.decode.tp-size"].hint == "spell it tp, as it is written already"


@pytest.mark.parametrize(
    ("setting", "wrong"),
    [
        (None, []),
        (True, []),
        ({"prefill": True, "decode": {"topic": "t"}}, []),
        ("yes", ["backend.kv_events_config"]),
        ({"prefil": True}, ["backend.kv_events_config.prefil"]),
        ({"prefill": {"port": 1}}, ["backend.kv_events_config.prefill"]),
        ({"decode": 3}, ["backend.kv_events_config.decode"]),
    ],
)
def test_kv_events(setting: Any, wrong: list[str]) -> None:
    made = disagg(backend="sglang", backend__kv_events_config=setting)
    assert [problem.key for problem in BACKENDS["sglang"].check(made)] == wrong


def test_mocker_switches_and_further_flags() -> None:
    made = disagg(backend__enable_prefix_caching=False, backend__enable_chunked_prefill=True)
    assert isinstance(made.backend, MockerParams)
    made.backend.mocker_config = RoleFlags({"sglang-page-size": 16, "speedup_ratio": 7}, decode={"reasoning": {"a": 1}})
    flags = BACKENDS["mocker"].flags(made, "decode")
    assert flags["no-enable-prefix-caching"] is True
    assert flags["enable-chunked-prefill"] is True
    assert (flags["sglang-page-size"], flags["speedup-ratio"], flags["reasoning"]) == (16, 7, {"a": 1})
    assert "reasoning" not in BACKENDS["mocker"].flags(made, "prefill")


def test_a_mocker_that_would_never_end_a_step() -> None:
    made = disagg(backend__speedup_ratio=0.0, backend__decode_speedup_ratio=0.0)
    assert [problem.rule for problem in BACKENDS["mocker"].check(made)] == ["mocker-speed"]
