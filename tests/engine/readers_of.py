"""What SGLang's own clients read: data sets by those of 0.5.14, answers also by `sgl-eval`, which follows them.

usage: python readers_of.py SGLANG SGL_EVAL < '{"files": {"mmlu": path, …}, "texts": […]}'

SGLANG and SGL_EVAL are folders of the packages; the interpreter must have pandas, openai, httpx, transformers and tqdm.
Prints as JSON what was found. Only the readers are theirs: `sglang` itself, which would import an engine, is an empty
package here, and the one function of `sglang.utils` that they call is written again.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

# What sgl-eval imports to compare formulas, of which there are none here.
FORMULAS = {
    "latex2sympy2_extended": ("NormalizationConfig", "normalize_latex"),
    "math_verify": ("LatexExtractionConfig", "StringExtractionConfig", "parse", "verify"),
}


def prepare(sglang: str, sgl_eval: str) -> None:
    """Make the modules importable."""
    for name in ("sglang", "sglang.test"):
        package = types.ModuleType(name)
        package.__path__ = [f"{sglang}/{name.replace('.', '/')}"]
        sys.modules[name] = package
    utils: Any = types.ModuleType("sglang.utils")
    utils.read_jsonl = lambda path: [json.loads(line) for line in open(path) if not line.startswith("#")]  # noqa: SIM115
    utils.download_and_cache_file = None
    sys.modules["sglang.utils"] = utils
    sys.path.insert(0, sgl_eval)
    for name, has in FORMULAS.items():
        stand_in: Any = types.ModuleType(name)
        vars(stand_in).update(dict.fromkeys(has))
        sys.modules[name] = stand_in


def data_sets(files: dict[str, str]) -> dict[str, Any]:
    """For each data set what is asked and the right answers."""
    from sgl_eval._vendored.nemo_skills.dataset.mmlu.prepare import read_csv_files_from_tar
    from sglang.test.simple_eval_gpqa import GPQAEval
    from sglang.test.simple_eval_gsm8k import GSM8KEval, get_answer_value, get_one_example
    from sglang.test.simple_eval_longbench_v2 import LongBenchV2Eval
    from sglang.test.simple_eval_mmlu import MMLUEval

    mmlu = MMLUEval(files["mmlu"], None, 1).examples
    gpqa = GPQAEval(files["gpqa"], None, 1).examples
    sums = GSM8KEval(num_shots=3, data_path=files["gsm8k"])
    archive = read_csv_files_from_tar(files["mmlu-archive"], "test")
    found = {
        "mmlu": [(row["Question"], row["Answer"]) for row in mmlu],
        "mmlu-archive": [
            (row["question"], row["expected_answer"]) for name in sorted(archive) for row in archive[name]
        ],
        "gpqa": [(row["Question"], row["Correct Answer"]) for row in gpqa],
        "gsm8k": [
            (
                sums._build_prefix(i) + get_one_example(sums._lines, i, include_answer=False),
                get_answer_value(line["answer"]),
            )
            for i, line in enumerate(sums._lines)
        ],
    }
    for name in ("longbench", "longbench-hub"):
        reader = LongBenchV2Eval.__new__(LongBenchV2Eval)  # its constructor would load a tokenizer
        found[name] = [(row["context"], row["answer"]) for row in reader._load_dataset(files[name])]
    return found


def answers(texts: list[str]) -> list[dict[str, Any]]:
    """For each text what each reader takes for the answer."""
    from sgl_eval._vendored.nemo_skills.evaluator.mcq import eval_mcq
    from sglang.test.simple_eval_common import ANSWER_PATTERN_MULTICHOICE
    from sglang.test.simple_eval_gsm8k import get_answer_value
    from sglang.test.simple_eval_longbench_v2 import extract_longbench_v2_answer

    with tempfile.NamedTemporaryFile("w+") as file:  # which the reader changes in its place
        file.writelines(json.dumps({"generation": text, "expected_answer": ""}) + "\n" for text in texts)
        file.flush()
        eval_mcq({"input_file": file.name})
        rows = [json.loads(line) for line in Path(file.name).read_text().splitlines()]
    simple = [re.search(ANSWER_PATTERN_MULTICHOICE, text) for text in texts]
    return [
        {
            "simple-evals": match[1] if match else None,
            "sgl-eval": row["predicted_answer"],
            "longbench": extract_longbench_v2_answer(text),
            "gsm8k": get_answer_value(text),
        }
        for text, match, row in zip(texts, simple, rows, strict=True)
    ]


if __name__ == "__main__":
    prepare(*sys.argv[1:])
    wanted = json.load(sys.stdin)
    print(json.dumps({"data_sets": data_sets(wanted["files"]), "answers": answers(wanted["texts"])}))
