"""What SGLang's own argument resolution makes of command lines, in its own environment and without starting anything.

usage: python resolved_by.py < '[["--model-path", "…"], …]'

Prints as JSON, for each command line, `error` (null, or what the server would end with), `resolved` (field -> value),
and `graphs`: which graphs are asked for, before the CPU, which has none, is taken into account.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def main() -> None:
    from sglang.srt.arg_groups.cuda_graph_hook import parse_cuda_graph_config  # type: ignore[import-not-found]
    from sglang.srt.arg_groups.overrides import resolving_view  # type: ignore[import-not-found]
    from sglang.srt.server_args import prepare_server_args  # type: ignore[import-not-found]

    answers: list[dict[str, Any]] = []
    for argv in json.load(sys.stdin):
        try:
            asked = prepare_server_args(argv)
            parse_cuda_graph_config(asked)
            said = sorted(asked._cuda_graph_config_locked)
            graphs = [resolving_view(asked).cuda_graph_config.to_dict(), said]
            made = prepare_server_args(argv)
            made.resolve_once()
            made.check_server_args()
            answers.append({"error": None, "resolved": made.resolved_dict(), "graphs": graphs})
        except (Exception, SystemExit) as error:
            answers.append({"error": f"{type(error).__name__}: {error}", "resolved": {}, "graphs": {}})
    print("answers: " + json.dumps(answers, default=str))


if __name__ == "__main__":
    main()
