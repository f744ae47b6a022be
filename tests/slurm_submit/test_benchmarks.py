"""Benchmarks of several types in one job of two nodes: each client finds the same servers and its files."""

from __future__ import annotations

import json

from tests.benchmarks import datasets
from tests.benchmarks.test_lm_eval import a_task
from tests.system.test_benchmarks import lines, option

from .conftest import SlurmUser

# The client's node is not the one with the entrance.
JOB = """
name: types
cluster: {name: test, executor: slurm, gpus_per_node: 8}
model: {path: "builtin:tiny"}
resources: {prefill_nodes: 1, prefill_workers: 1, gpus_per_prefill: 8,
            decode_nodes: 1, decode_workers: 1, gpus_per_decode: 8}
backend: {type: mocker, speedup_ratio: 100}
frontend: {type: dynamo, count: 2}
slurm: {partition: batch}
"""
TRACE = [
    {"timestamp": 9000 + 50 * i, "input_length": 600, "output_length": 4, "hash_ids": [1, 2 + i]} for i in range(6)
]


def test_several_types_share_a_job_of_two_nodes(slurm_user: SlurmUser) -> None:
    home = slurm_user.home
    place = {"client_placement": "last_decode"}
    few = {"max_tokens": 4, "num_threads": 2, **place}
    option(home, "t-trace", type="trace-replay", trace_file=lines(home / "trace.jsonl", *TRACE), **place)
    sums = str(datasets.gsm8k_lines(home / "test.jsonl"))
    option(home, "t-gsm8k", type="gsm8k", dataset_path=sums, num_shots=2, **few)
    option(home, "t-mmlu", type="mmlu", dataset_path=str(datasets.mmlu_csv(home / "mmlu.csv")), repeat=2, **few)
    option(home, "t-lm-eval", type="lm-eval", tasks=["sums"], include_path=str(a_task(home / "tasks")), **place)
    words = ["-f", str(slurm_user.write("job.yaml", JOB)), "-m", "benchmark=t-trace,t-gsm8k,t-mmlu,t-lm-eval", "--wait"]
    done = slurm_user.srtctl("apply", *words, env={"SRTCTL_CONF": str(home / "conf")}, timeout_s=400)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(slurm_user.manifest()["allocations"]) == 1
    clients = {one["host"] for one in slurm_user.status()["processes"] if one["role"] == "client"}
    assert clients == {"n2"}
    rows = json.loads(slurm_user.srtctl("results", "--json").stdout)["rows"]
    assert [(row["measurement"], row["requests_completed"], row["valid"]) for row in rows] == [
        ("trace", 6, True),
        ("gsm8k", 5, True),
        ("mmlu", 6, True),
        ("sums", 6, True),
        ("sums", 6, True),
    ]
    assert [row["score_name"] for row in rows[3:]] == ["exact_match (strict)", "exact_match (flexible)"]
