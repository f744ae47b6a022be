"""A model small enough to be made on the spot: srtctl's tiny model, with random weights."""

from __future__ import annotations

import json
import random
import shutil
import struct
from array import array
from collections.abc import Iterator
from pathlib import Path

from srtctl import site

SPREAD = 0.02  # of the weights, as a fresh model has them


def make_model(directory: Path) -> Path:
    """Write the tiny model's folder with weights (1.2 MB, BF16) in it; the same folder every time."""
    shutil.copytree(site.TINY_MODEL, directory)
    config = json.loads((directory / "config.json").read_text())
    chance = random.Random(0)
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = bytearray()
    for name, shape in shapes(config):
        begin = len(data)
        data += _ones(shape) if "norm" in name else _random(shape, chance)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    (directory / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(data))
    return directory


def shapes(config: dict[str, int]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every tensor of a Qwen2 whose output layer is its embedding: (name, shape)."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    queries = config["num_attention_heads"] * config["head_dim"]
    keys = config["num_key_value_heads"] * config["head_dim"]
    yield "model.embed_tokens.weight", (config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        name = f"model.layers.{layer}"
        for letter, width in (("q", queries), ("k", keys), ("v", keys)):
            yield f"{name}.self_attn.{letter}_proj.weight", (width, hidden)
            yield f"{name}.self_attn.{letter}_proj.bias", (width,)
        yield f"{name}.self_attn.o_proj.weight", (hidden, queries)
        yield f"{name}.mlp.gate_proj.weight", (inner, hidden)
        yield f"{name}.mlp.up_proj.weight", (inner, hidden)
        yield f"{name}.mlp.down_proj.weight", (hidden, inner)
        yield f"{name}.input_layernorm.weight", (hidden,)
        yield f"{name}.post_attention_layernorm.weight", (hidden,)
    yield "model.norm.weight", (hidden,)


def _size(shape: tuple[int, ...]) -> int:
    return shape[0] * (shape[1] if len(shape) > 1 else 1)


def _random(shape: tuple[int, ...], chance: random.Random) -> bytes:
    return _bfloat16(array("f", (chance.gauss(0.0, SPREAD) for _ in range(_size(shape)))))


def _ones(shape: tuple[int, ...]) -> bytes:
    return _bfloat16(array("f", [1.0]) * _size(shape))


def _bfloat16(values: array[float]) -> bytes:
    """The upper halves of 32-bit floats."""
    halves = array("H", values.tobytes())
    return halves[1::2].tobytes()
