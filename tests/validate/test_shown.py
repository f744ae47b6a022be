"""What a user reads: the exact text of findings, with the file and line of each value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from srtctl.benchmarks import BENCHMARKS
from srtctl.composed import Sources
from srtctl.errors import Severity, format_problem
from srtctl.validate import SiteFacts, check_config
from tests.validate.jobs import FACTS, MOCKER, SGLANG, changed

SHOWN: dict[str, tuple[Mapping[str, Any], dict[str, Any], str]] = {
    "text": (
        MOCKER,
        {"name": "x\n#SBATCH --qos=high"},
        """\
error: name: has the character '\\n', which is not allowed here
  value:   'x\\n#SBATCH --qos=high'
  allowed: letters, digits and _ . + @ = -, beginning with a letter, digit or _
  from:    r.yaml:1""",
    ),
    "minimum": (
        MOCKER,
        {"resources.prefill_workers": -1},
        """\
error: resources.prefill_workers: must be at least 0
  value:   -1
  from:    r.yaml:5""",
    ),
    "allowed value": (
        MOCKER,
        {"frontend.orchestrator_placement": "haed"},
        """\
error: frontend.orchestrator_placement: not one of the allowed values
  value:   'haed'
  allowed: head, first_decode
  hint: did you mean head?""",
    ),
    "unheard-of precision": (
        MOCKER,
        {"model.precision": "fp-8"},
        """\
warning: model.precision: is no precision that srtctl knows; it only stands in the results
  value:   'fp-8'
  from:    model=tiny (conf/model/tiny.yaml:2)
  hint: did you mean fp8?""",
    ),
    "time limit": (
        MOCKER,
        {"slurm.time_limit": "banana"},
        """\
error: slurm.time_limit: is no time limit
  value:   'banana'
  allowed: minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS
  from:    command line
  hint: for example '04:00:00'""",
    ),
    "unknown benchmark": (
        MOCKER,
        {"benchmark.type": "sa_bench"},
        f"""\
error: benchmark.type: there is no such benchmark
  value:   'sa_bench'
  allowed: {", ".join(BENCHMARKS)}
  hint: did you mean sa-bench?""",
    ),
    "secret": (
        MOCKER,
        {"environment.HF_TOKEN": "hf_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        """\
error: environment.HF_TOKEN: looks like a secret; everything in a config is written to disk
  hint: take it out, export it in your shell, and say pass_environment: [HF_TOKEN]""",
    ),
    "model alias": (
        SGLANG,
        {"model.path": "qwen3-32"},
        """\
error: model.path: is neither a path that exists nor a model alias of this cluster
  value:   'qwen3-32'
  allowed: a path, an alias of cluster.model_paths, hf:org/name, or builtin:tiny (aliases: dsr1, qwen3-32b)
  from:    model=tiny (conf/model/tiny.yaml:2)
  hint: did you mean qwen3-32b?""",
    ),
    "hub id": (
        SGLANG,
        {"model.path": "Qwen/Qwen3-32B", "cluster.model_paths": {}},
        """\
error: model.path: is neither a path that exists nor a model alias of this cluster
  value:   'Qwen/Qwen3-32B'
  allowed: a path, an alias of cluster.model_paths, hf:org/name, or builtin:tiny
  from:    model=tiny (conf/model/tiny.yaml:2)
  hint: did you mean hf:Qwen/Qwen3-32B?""",
    ),
    "tp and GPUs": (
        SGLANG,
        {"backend.sglang_config.decode.enable-dp-attention": False},
        """\
error: backend.sglang_config.decode.tp-size: tp 16 x dp 16 = 256 of SGLang, but a decode worker has 16 GPUs
  value:   16
  allowed: tp x pp = 16
  hint: dp without DP attention multiplies the GPUs; enable-dp-attention divides tp instead""",
    ),
    "dp and tp": (
        SGLANG,
        {"backend.sglang_config.decode.dp-size": 3},
        """\
error: backend.sglang_config.decode.dp-size: with DP attention dp must divide tp, which is 16
  value:   3
  allowed: 1, 2, 4, 8, 16""",
    ),
    "experts": (
        SGLANG,
        {"model.experts": 250},
        """\
error: backend.sglang_config.decode.ep-size: 250 experts + 0 redundant ones do not divide by ep 16
  value:   16
  hint: ep-num-redundant-experts: 6 would do""",
    ),
    "context": (
        SGLANG,
        {"backend.sglang_config.decode.context-length": 2000},
        """\
error: backend.sglang_config.decode.context-length: requests have up to 1024 + 1024 = 2048 tokens
  value:   2000
  allowed: at least 2048""",
    ),
    "queueing": (
        SGLANG,
        {"benchmark.concurrencies": [1024]},
        """\
warning: backend.sglang_config.decode.max-running-requests: 1024 requests in flight, but the decode worker takes 512 \
at a time: the rest waits in a queue
  value:   512
  allowed: at least 1024""",
    ),
    "mount": (
        SGLANG,
        {"extra_mount": ["/data"]},
        """\
error: extra_mount[0]: is no mount
  value:   '/data'
  allowed: /host/path:/container/path, or with a third part such as :ro
  from:    r.yaml:9""",
    ),
    "directive": (
        SGLANG,
        {"sbatch_directives": {"cpus_per_task": 4}},
        """\
error: sbatch_directives.cpus_per_task: no name of an option
  value:   'cpus_per_task'
  allowed: the long name without dashes in front
  hint: write cpus-per-task""",
    ),
}

SOURCES = Sources(
    {
        "name": "r.yaml:1",
        "resources": "r.yaml:5",
        "extra_mount": "r.yaml:9",
        "model": "model=tiny (conf/model/tiny.yaml:2)",
        "slurm.time_limit": "command line",
    }
)


@pytest.mark.parametrize("name", SHOWN)
def test_shown(name: str) -> None:
    base, changes, text = SHOWN[name]
    found = check_config(changed(base, changes), facts=FACTS, sources=SOURCES)
    assert [format_problem(p) for p in found] == [text]


def test_a_path_that_is_not_here() -> None:
    facts = SiteFacts(paths={"/models/DeepSeek-R1": False})
    (found,) = check_config(SGLANG, facts=facts, sources=SOURCES)
    assert (
        format_problem(found)
        == """\
note: model.path: this path is not on this machine; it is checked when the job starts
  value:   '/models/DeepSeek-R1'
  from:    model=tiny (conf/model/tiny.yaml:2)"""
    )


@pytest.mark.parametrize(
    ("source", "severity"),
    [
        ("recipes/dsr1.yaml:7", Severity.WARNING),
        ("/home/me/a=b/r.yaml:7", Severity.WARNING),
        ("mode=disagg (conf/mode/disagg.yaml:4)", Severity.ERROR),
        ("command line", Severity.ERROR),
    ],
)
def test_a_flag_that_placement_decides_weighs_by_where_it_was_written(source: str, severity: Severity) -> None:
    config = changed(SGLANG, {"backend.sglang_config.prefill.port": 30000})
    sources = Sources({"backend.sglang_config.prefill.port": source})
    (found,) = check_config(config, facts=FACTS, sources=sources)
    assert (found.rule, found.severity, found.source) == ("owned-flag", severity, source)


class _Untouched(Mapping[str, str]):
    def _fail(self) -> Any:
        raise AssertionError("sources were looked up, though nothing was found")

    def __getitem__(self, key: str) -> str:
        raise AssertionError(key)

    def __iter__(self) -> Any:
        return self._fail()

    def __len__(self) -> int:
        return int(self._fail())


def test_sources_are_looked_up_only_for_findings() -> None:
    """Working out where values came from costs far more than checking them."""
    assert check_config(MOCKER, facts=FACTS, sources=Sources(_Untouched())) == []
