"""custom and manual: what a command finds in its environment, and what becomes of the result it leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from srtctl.benchmarks import BENCHMARKS, ClientContext
from srtctl.benchmarks.params import CustomConfig, ManualConfig
from srtctl.plan.model import Step

CONTEXT = ClientContext(
    endpoint="@host:slot0@:@port:nginx/http@",
    model="tiny",
    tokenizer="/models/tiny",
    worker_endpoints={
        "prefill": ("@host:slot1@:@port:prefill0/http@",),
        "decode": ("@host:slot2@:@port:decode0/http@", "10.0.0.3:30000"),
    },
    frontend_endpoints=("@host:slot0@:@port:frontend0/http@",),
)
CUSTOM = BENCHMARKS["custom"]


def test_environment() -> None:
    (step,) = CUSTOM.steps(CustomConfig(command="true", env={"A": "1", "SRTCTL_MODEL": "mine"}), CONTEXT).steps
    assert step.env == {
        "SRT_FRONTEND_HOST": "@host:slot0@",
        "SRT_FRONTEND_PORT": "@port:nginx/http@",
        "SRT_PREFILL_ENDPOINTS": "@host:slot1@:@port:prefill0/http@",
        "SRT_PREFILL_IPS": "@host:slot1@",
        "SRT_DECODE_ENDPOINTS": "@host:slot2@:@port:decode0/http@,10.0.0.3:30000",
        "SRT_DECODE_IPS": "@host:slot2@,10.0.0.3",
        "SRT_AGG_ENDPOINTS": "",
        "SRT_AGG_IPS": "",
        "SRTCTL_ENDPOINT": "@host:slot0@:@port:nginx/http@",
        "SRTCTL_FRONTENDS": "@host:slot0@:@port:frontend0/http@",
        "SRTCTL_MODEL": "mine",
        "SRTCTL_TOKENIZER": "/models/tiny",
        "A": "1",
    }


def test_the_command_is_run_as_it_was_written() -> None:
    command = "echo \"a b\" | tee 'x y'; exit 3"
    params = CustomConfig(command=command, outputs=["out.csv"], container_image="tools.sqsh", timeout_s=5)
    (step,) = CUSTOM.steps(params, CONTEXT).steps
    assert step.argv == ("bash", "-lc", command)
    assert (step.outputs, step.image, step.timeout_s) == (("out.csv",), "tools.sqsh", 5)


@pytest.mark.parametrize("command", [None, "", "  \n"])
def test_a_command_is_needed(command: str | None) -> None:
    (problem,) = CUSTOM.check(CustomConfig(command=command))
    assert problem.key == "benchmark.command"


@pytest.mark.parametrize("output", ["/etc/passwd", "../x", "a/../../x"])
def test_outputs_stay_inside(output: str) -> None:
    (problem,) = CUSTOM.check(CustomConfig(command="true", outputs=[output]))
    assert problem.key == "benchmark.outputs"


def test_result_fields_settings_and_further_numbers(tmp_path: Path) -> None:
    entry = {
        "output_tok_s": 12.5,
        "requests_failed": 0,
        "accuracy": 0.9,
        "note": "text",
        "settings": {"concurrency": 8},
    }
    (tmp_path / "result.json").write_text(json.dumps([entry, {"accuracy": 1}]))
    first, second = CUSTOM.parse(tmp_path, Step("custom", "custom"))
    assert (first["output_tok_s"], first["requests_failed"]) == (12.5, 0)
    assert first["custom"] == {"accuracy": 0.9}
    assert first["settings"] == {"concurrency": 8}
    assert second["custom"] == {"accuracy": 1}


def test_without_a_result_there_is_one_empty_row(tmp_path: Path) -> None:
    (found,) = CUSTOM.parse(tmp_path, Step("custom", "custom"))
    assert found["custom"] == {}


@pytest.mark.parametrize("text", ["{", "1", '["a"]', "[[]]"])
def test_a_result_of_another_shape(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(ValueError, match=r"result\.json"):
        CUSTOM.parse(tmp_path, Step("custom", "custom"))


def test_manual_holds_and_measures_nothing(tmp_path: Path) -> None:
    manual = BENCHMARKS["manual"]
    (step,) = manual.steps(ManualConfig(), CONTEXT).steps
    assert step.hold
    assert step.argv == ()
    assert manual.parse(tmp_path, step) == []
