"""The client sglang.bench_serving, which every SGLang image has: its command, and how to read its result file.

It tells no absolute times and no answer's end: E2EL is the first chunk's time plus the gaps that follow. Its warm-up
requests all carry the first prompt. A stream that ends early without an error is a good request to it; that its answers
were too short is then seen from the realised length only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from srtctl.benchmarks.base import ClientContext
from srtctl.benchmarks.measurement import Request, measure
from srtctl.benchmarks.options import Options, merged, words

RESULT = "bench_serving.jsonl"
OUTPUTS = (RESULT,)


def command(
    context: ClientContext,
    params: Any,
    settings: Mapping[str, Any],
    given: Mapping[str, Any] | None = None,
    *,
    dataset: str = "random-ids",
) -> tuple[str, ...]:
    """Its argv for one measurement, run in the measurement's directory.

    Args:
        params: The benchmark's keys: `isl`, `osl`, `random_range_ratio`, `use_chat_template`, `ignore_eos`.
        given: The user's own options, which take the place of ours.
        dataset: Where the prompts come from, in the client's words.
    """
    options: Options = {
        "base-url": f"http://{context.endpoint}",
        "backend": "sglang-oai-chat" if params.use_chat_template else "sglang-oai",
        "model": context.model,
        "tokenizer": context.tokenizer_of(params.custom_tokenizer),
        "dataset-name": dataset,
        "random-input-len": params.isl,
        "random-output-len": params.osl,
        "random-range-ratio": params.random_range_ratio,
        "num-prompts": settings["requests"],
        "max-concurrency": settings["concurrency"],
        "request-rate": settings["req_rate"],
        "warmup-requests": settings["warmup_requests"],
        "seed": settings["client_seed"],
        "disable-ignore-eos": not params.ignore_eos,
        "disable-tqdm": True,
        "output-details": True,
        "output-file": RESULT,
    }
    python = context.programs.paths.get("sglang_python", "python3")
    return (python, "-m", "sglang.bench_serving", *words(merged(options, given or {}, {})))


def parse(directory: Path, name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The measurement that it left in `directory`.

    Raises:
        ValueError: The file is missing or not what the client writes.
    """
    path = directory / RESULT
    try:
        result = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
        columns = [result[key] for key in ("input_lens", "output_lens", "ttfts", "itls", "errors")]
        requests = [_request(*values) for values in zip(*columns, strict=True)]
        duration = float(result["duration"])
    except FileNotFoundError:
        raise ValueError(f"{path} is missing: the client wrote no result; see its log") from None
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ValueError(f"{path}: not a result of sglang.bench_serving ({error})") from error
    found = measure(name, requests, settings, duration)
    found |= {"started_at": None, "ended_at": None}
    found["client"] = {"name": "sglang.bench_serving", "version": None}
    found["warmup_requests"] = settings.get("warmup_requests")
    return found


def _request(input_tokens: int, output_tokens: int, ttft_s: float, gaps_s: list[float], error: str) -> Request:
    if not error and output_tokens <= 0:
        error = "the answer has no tokens"
    return Request(
        start_s=0.0,
        end_s=0.0,
        ttft_ms=ttft_s * 1000,
        e2el_ms=(ttft_s + sum(gaps_s)) * 1000,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        chunk_gaps_ms=[gap * 1000 for gap in gaps_s],
        error=error or "",
    )
