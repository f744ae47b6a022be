"""Make the tiny model that ships with srtctl: a real tokenizer and a model's config, no weights.

usage: make_tiny_model.py [DIRECTORY]      needs `tokenizers`, only for this; the result is in the repository.

The mocker and the benchmark client read nothing but tokenizer, chat template and config. The vocabulary is learnt from
sources of the standard library, so it is text like any other and nothing is downloaded. The same interpreter
release yields the same files.
"""

from __future__ import annotations

import argparse
import asyncio.base_events
import inspect
import json
import socket
import subprocess
import sys
import typing
from pathlib import Path

VOCABULARY = 2048
CONTEXT_TOKENS = 32_768
END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = [END_OF_TEXT, TURN_START, TURN_END]
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def train_tokenizer(path: Path) -> dict[str, int]:
    """Learn a byte-level BPE vocabulary and write tokenizer.json; returns the ids of the special tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    modules = (argparse, json, subprocess, socket, typing, asyncio.base_events)
    lines = [line for module in modules for line in inspect.getsource(module).splitlines(keepends=True)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.save(str(path), pretty=False)
    return {token: tokenizer.token_to_id(token) for token in SPECIAL}


def tokenizer_config(ids: dict[str, int]) -> dict[str, object]:
    """What the tokenizer's readers want beside the vocabulary."""
    shape = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": CONTEXT_TOKENS,
        "bos_token": None,
        "eos_token": TURN_END,
        "pad_token": END_OF_TEXT,
        "unk_token": None,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
        "added_tokens_decoder": {str(number): {"content": token, **shape} for token, number in ids.items()},
    }


def model_config(ids: dict[str, int]) -> dict[str, object]:
    """A dense transformer of two layers, in the shape of a Qwen2."""
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "vocab_size": VOCABULARY,
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "max_position_embeddings": CONTEXT_TOKENS,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "initializer_range": 0.02,
        "use_cache": True,
        "use_sliding_window": False,
        "bos_token_id": ids[END_OF_TEXT],
        "eos_token_id": ids[TURN_END],
    }


def generation_config(ids: dict[str, int]) -> dict[str, object]:
    """Where an answer ends."""
    ends = [ids[TURN_END], ids[END_OF_TEXT]]
    return {"bos_token_id": ids[END_OF_TEXT], "eos_token_id": ends, "pad_token_id": ids[END_OF_TEXT]}


def main(directory: Path) -> None:
    """Write the model's folder."""
    directory.mkdir(parents=True, exist_ok=True)
    ids = train_tokenizer(directory / "tokenizer.json")
    documents = {
        "tokenizer_config.json": tokenizer_config(ids),
        "special_tokens_map.json": {"eos_token": TURN_END, "pad_token": END_OF_TEXT},
        "config.json": model_config(ids),
        "generation_config.json": generation_config(ids),
    }
    for name, document in documents.items():
        (directory / name).write_text(json.dumps(document, indent=1) + "\n")
    print(f"{directory}: {sum(f.stat().st_size for f in directory.iterdir())} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent / "tiny-model")
