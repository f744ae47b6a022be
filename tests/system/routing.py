"""Which of two workers answers which prompt: requests through the frontend, and what the workers count."""

from __future__ import annotations

import json
import re
import threading
import urllib.request
from typing import Any

from tests.slurm.testcluster.processes import until

RIVER, STONE = "river " * 300, "stone " * 300  # as prompts alike in nothing


class Pair:
    """Two aggregated workers behind one frontend of Dynamo, by a run's status."""

    def __init__(self, status: dict[str, Any]):
        self._endpoint = status["endpoint"]
        self._workers = [status["endpoints"][f"aggregated{index}"] for index in (0, 1)]

    def ask(self, text: str, tokens: int = 4) -> None:
        body = {"model": "tiny", "prompt": text, "max_tokens": tokens, "ignore_eos": True}
        url = f"http://{self._endpoint}/v1/completions"
        request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            assert json.load(answer)["choices"]

    def count(self, metric: str) -> list[float]:
        """Of requests for answers, by worker."""
        found = []
        for worker in self._workers:
            with urllib.request.urlopen(f"http://{worker}/metrics", timeout=30) as answer:
                text = answer.read().decode()
            lines = re.findall(rf'^{metric}{{.*endpoint="generate".*}} (\S+)$', text, re.MULTILINE)
            found.append(sum(map(float, lines)))
        return found

    def who_answers(self, text: str) -> int:
        """Index of the worker that answers; nothing else may be asked meanwhile."""
        metric = "dynamo_component_requests_total"
        before = self.count(metric)
        self.ask(text)
        until(lambda: self.count(metric) != before, 60, "a worker has counted it")
        gained = [b - a for a, b in zip(before, self.count(metric), strict=True)]
        assert sorted(gained) == [0, 1], gained
        return gained.index(1)

    def two_at_once(self) -> None:
        """Two different prompts, the second while one worker is busy with the first: each worker gets one of them."""
        first = threading.Thread(target=self.ask, args=(RIVER, 400))
        first.start()
        until(lambda: sum(self.count("dynamo_component_inflight_requests")) >= 1, 60, "the first is being answered")
        self.ask(STONE)
        first.join()
