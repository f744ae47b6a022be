"""lm-eval: its keys and command, what it leaves, and the harness itself against a server whose answers are known."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from srtctl.benchmarks import BENCHMARKS, ClientContext
from srtctl.benchmarks.lm_eval import OFFLINE, LmEvalConfig
from srtctl.errors import Severity
from srtctl.plan.model import PointSteps
from srtctl.plan.programs import Programs

LM_EVAL = BENCHMARKS["lm-eval"]
# A task as its users write them: questions from a file, two ways to read an answer.
TASK: dict[str, Any] = {
    "task": "sums",
    "dataset_path": "json",
    "test_split": "test",
    "output_type": "generate_until",
    "doc_to_text": "{{question}}",
    "doc_to_target": "{{answer}}",
    "generation_kwargs": {"until": ["\n\n"], "max_gen_toks": 16, "temperature": 0.0},
    "num_fewshot": 0,
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    "filter_list": [
        {
            "name": name,
            "filter": [{"function": "regex", "group_select": -1, "regex_pattern": p}, {"function": "take_first"}],
        }
        for name, p in (("strict", "#### ([0-9]+)"), ("flexible", "([0-9]+)"))
    ],
    "metadata": {"version": 2.0},
}


def a_task(home: Path, name: str = "sums", count: int = 6) -> Path:
    """A directory of task files, as `include_path` names it; JSON is YAML."""
    home.mkdir(exist_ok=True)
    data = home / f"{name}.jsonl"
    data.write_text("".join(json.dumps({"question": f"{i} + {i}?", "answer": str(2 * i)}) + "\n" for i in range(count)))
    files = {"dataset_kwargs": {"data_files": {"test": str(data)}}}
    (home / f"{name}.yaml").write_text(json.dumps(TASK | files | {"task": name}))
    return home


def config(**keys: Any) -> LmEvalConfig:
    return LmEvalConfig(**{"tasks": ["sums"], "include_path": "/data/tasks", **keys})


def steps(endpoint: str = "@host:slot0@:@port:nginx/http@", program: str = "/opt/lm_eval", **keys: Any) -> PointSteps:
    params = config(**keys)
    assert [p for p in LM_EVAL.check(params) if p.severity is Severity.ERROR] == []
    return LM_EVAL.steps(params, ClientContext(endpoint, "tiny", "/t", programs=Programs({"lm_eval": program})))


def values(argv: tuple[str, ...], option: str) -> Any:
    return json.loads(argv[argv.index(f"--{option}") + 1])


def test_the_command() -> None:
    made = steps(tasks=["gsm8k", "mmlu_pro"], limit=0.5, num_fewshot=2, gen_kwargs={"until": ["\n", ","]})
    assert [step.name for step in made.steps] == ["gsm8k", "mmlu_pro"]
    argv = made.steps[0].argv
    assert argv[:4] == ("/opt/lm_eval", "run", "--model", "local-chat-completions")
    client = values(argv, "model_args")
    assert client["base_url"] == "http://@host:slot0@:@port:nginx/http@/v1/chat/completions"
    assert (client["model"], client["num_concurrent"], client["tokenizer_backend"]) == ("tiny", 64, "none")
    assert values(argv, "gen_kwargs") == {"until": ["\n", ","]}
    rest = " ".join(argv[argv.index("--tasks") :]).partition(" --gen_kwargs")[0]
    assert rest == "--tasks gsm8k --include_path /data/tasks --num_fewshot 2 --limit 0.5 --apply_chat_template"
    assert argv[-3:] == ("--output_path", "lm_eval", "--log_samples")


def test_plain_completions_and_options_of_its_own() -> None:
    given = {"model_args": {"tokenizer-backend": "huggingface"}, "lm_eval_args": {"--system-instruction": "Be brief."}}
    (step,) = steps(use_chat_template=False, **given).steps
    client = values(step.argv, "model_args")
    assert client["base_url"].endswith("/v1/completions")
    assert client["tokenizer_backend"] == "huggingface"
    assert "--apply_chat_template" not in step.argv
    assert step.argv[-2:] == ("--system_instruction", "Be brief.")


def test_nothing_is_fetched_unless_that_is_asked_for() -> None:
    made = steps(hf_home="/data/hf")
    assert {name: made.steps[0].env[name] for name in OFFLINE} == dict.fromkeys(OFFLINE, "1")
    assert made.steps[0].env["HF_HOME"] == "/data/hf"
    made = steps(include_path=None, download=True)
    assert not set(OFFLINE) & set(made.steps[0].env)
    assert made.unset_env == OFFLINE
    (problem,) = LM_EVAL.check(config(include_path=None, download=True))
    assert problem.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("keys", "rule", "key"),
    [
        ({"tasks": []}, "benchmark-key", "benchmark.tasks"),
        ({"include_path": None}, "benchmark-key", "benchmark.hf_home"),
        ({"tasks": ["mmlu_*"]}, "task-name", "benchmark.tasks"),
        ({"tasks": ["a", "a"]}, "task-name", "benchmark.tasks"),
        ({"model_args": {"base_url": "http://x"}}, "owned-argument", "benchmark.model_args.base_url"),
        ({"lm_eval_args": {"--output_path": "x"}}, "owned-argument", "benchmark.lm_eval_args.--output_path"),
        ({"lm_eval_args": {"L": 3}}, "owned-argument", "benchmark.lm_eval_args.L"),
    ],
)
def test_what_it_refuses(keys: dict[str, Any], rule: str, key: str) -> None:
    assert [(p.rule, p.key) for p in LM_EVAL.check(config(**keys))] == [(rule, key)]


def test_directories_are_looked_at_before_anything_starts(tmp_path: Path) -> None:
    found = LM_EVAL.data_files(config(include_path=str(tmp_path), hf_home="/data/hf"))  # type: ignore[attr-defined]
    assert [file.key for file in found] == ["benchmark.include_path", "benchmark.hf_home"]
    assert found[0].fault(tmp_path) == "holds no task: no .yaml file is in it"
    assert found[0].fault(a_task(tmp_path)) == ""
    assert found[1].fault(tmp_path / "sums.yaml") == "is no directory"


def left(directory: Path, result: dict[str, Any], **samples: list[dict[str, Any]]) -> Path:
    """Files as release 0.4.13 leaves them."""
    place = directory / "lm_eval" / "org__model"
    place.mkdir(parents=True)
    (place / "results_2026-11-24T00-22-45.942262.json").write_text(json.dumps(result))
    for name, lines in samples.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (place / f"samples_{name}_2026-11-24T00-22-45.942262.jsonl").write_text(text)
    return directory


def test_a_group_has_its_own_score_and_those_of_its_tasks(tmp_path: Path) -> None:
    one = {"alias": " - a", "sample_len": 2, "acc,none": 0.5, "acc_stderr,none": 0.5}
    other = {"alias": " - b", "sample_len": 4, "acc,none": 0.75, "acc_stderr,none": "N/A"}
    whole = {"alias": "both", "acc,none": 2 / 3, "acc_stderr,none": 0.2}
    sample = {"filter": "none", "resps": [[["-1.0", "True"]], [["-2.0", "False"]]], "filtered_resps": ["x"]}
    result = {
        "results": {"both": whole, "t-a": one, "t_b": other},
        "groups": {"both": whole},
        "group_subtasks": {"both": ["inner"], "inner": ["t-a", "t_b"]},
        "n-samples": {"t-a": {"original": 9, "effective": 2}, "t_b": {"original": 9, "effective": 4}},
        "n-shot": {"t-a": 5},
        "versions": {"both": 1},
        "lm_eval_version": "0.4.13",
    }
    left(tmp_path, result, t_a=[sample] * 2, t_b=[sample] * 4)
    (step,) = steps(tasks=["both"]).steps
    (row,) = LM_EVAL.parse(tmp_path, step)
    assert (row["score_name"], row["score"], row["score_stderr"], row["score_n"]) == ("acc", 2 / 3, 0.2, 6)
    assert row["settings"]["score_by_category"] == {"t-a": 0.5, "t_b": 0.75}
    assert row["settings"]["questions_in_dataset"] == 18
    assert row["requests_completed"] == 12  # each question is asked once for each of its two choices


def test_results_that_are_none(tmp_path: Path) -> None:
    (step,) = steps().steps
    with pytest.raises(ValueError, match=r"holds no results_\*.json: nothing was scored"):
        LM_EVAL.parse(tmp_path, step)
    left(tmp_path, {"results": {"other": {}}, "n-samples": {}})
    with pytest.raises(ValueError, match="not a result of lm-eval"):
        LM_EVAL.parse(tmp_path, step)


class Known(BaseHTTPRequestHandler):
    """Adds up, but for 3 (wrong) and 4 (says nothing of use); does not answer the first question about 1."""

    tried: set[str] = set()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        (message,) = body["messages"]
        number = int(re.match(r"\d+", message["content"])[0])  # type: ignore[index]
        fails = number == 1 and number not in self.tried
        self.tried.add(number)  # type: ignore[arg-type]
        text = {3: "#### 7", 4: "Who knows?"}.get(number, f"It is\n#### {2 * number}")
        answer = {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}
        data = json.dumps({"error": "not ready"} if fails else answer).encode()
        self.send_response(503 if fails else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def known() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Known,), {"tried": set()}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_harness_itself_scores_known_answers(known: str, tmp_path: Path) -> None:
    program = next(Path(sys.prefix).glob("tools/lm-eval-*/bin/lm_eval"))
    include = str(a_task(tmp_path / "tasks"))
    (step,) = steps(known, str(program), include_path=include, num_concurrent=2).steps
    own = {"HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hf"), "PATH": "/usr/bin:/bin"}
    env = own | {name: value for name, value in step.env.items() if "@" not in value}
    measured = tmp_path / "measured"
    measured.mkdir()
    with (measured / "client.log").open("w") as log:
        done = subprocess.run(step.argv, cwd=measured, env=env, stdout=log, stderr=log, check=False, timeout=120)
    assert done.returncode == 0, (measured / "client.log").read_text()
    strict, flexible = LM_EVAL.parse(measured, step)
    assert (strict["score_name"], flexible["score_name"]) == ("exact_match (strict)", "exact_match (flexible)")
    assert strict["score"] == flexible["score"] == pytest.approx(4 / 6)
    # The standard error of a mean of six values, of which two are 0 and four are 1.
    assert strict["score_stderr"] == pytest.approx((4 / 6 * 2 / 6 / 5) ** 0.5)
    assert (strict["score_n"], strict["requests_completed"], strict["answers_unreadable"]) == (6, 6, 1)
    assert strict["client"] == {"name": "lm-eval", "version": "0.4.13"}
    assert strict["settings"]["task_version"] == 2.0
    assert strict["requests_failed"] == 1
    assert "503" in strict["errors"][0]["what"]
