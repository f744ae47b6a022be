"""Get models from the Hugging Face hub, with the library of the interpreter that runs this.

    python orchestrator.pyz --fetch '{"models": [{"repo": "org/name", …}], "record": …}'

Of each model: `revision`, `weights` (else only its small files: configuration and tokenizer), `link` (a path that is to
lead to it), `stage` (a directory that is to hold a copy), `tokenizer` (likewise, for its small files).
The library's own variables hold: HF_HOME, HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE, …
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from srtctl.orchestrator import staging
from srtctl.orchestrator.staging import RefusedError

SMALL = ("*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken", "*.py", "*.yaml", "*.md")
# Other formats of the same weights, and what comes with examples.
NOT_WANTED = ("*.pth", "*.gguf", "*.onnx*", "*.msgpack", "*.h5", "*.ot", "original/*", "metal/*")
STALL_S = 1800.0
WITHOUT_LIBRARY = (
    "{0} has no huggingface_hub, which gets models from the hub; it comes with the engines, or: "
    "{0} -m pip install huggingface_hub. Or download the model yourself and give its directory as model.path"
)


def main() -> int:
    """Entry of `orchestrator.pyz --fetch`."""
    order = json.loads(sys.argv[2])
    return staging.told(lambda: fetch_all(order))


def fetch_all(order: dict[str, Any]) -> None:
    """Get all models of an order and write its record."""
    entries = []
    for model in order["models"]:
        begun = time.time()
        snapshot = fetch(model["repo"], model.get("revision"), bool(model.get("weights")))
        path = _place(model, snapshot)
        seconds = round(time.time() - begun, 3)
        asked = {name: model.get(name) for name in ("repo", "revision")}
        entries.append({**asked, "commit": snapshot.name, "path": str(path), "seconds": seconds})
        print(f"{model['repo']} is at {path}, commit {snapshot.name} ({seconds:.1f} s)", flush=True)
    staging.record(Path(order["record"]), entries)


def fetch(repo: str, revision: str | None, weights: bool) -> Path:
    """Directory of a model in the cache; what is there already is not got again.

    Raises:
        RefusedError: It can't be had; the text says why, and what to do.
    """
    try:
        from huggingface_hub import constants, snapshot_download  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise RefusedError(WITHOUT_LIBRARY.format(sys.executable)) from None
    cache = Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"
    chosen: dict[str, Any] = {"ignore_patterns": list(NOT_WANTED)} if weights else {"allow_patterns": list(SMALL)}
    try:
        with staging.watched(lambda: _size(cache), f"downloading {repo}", stall_s=STALL_S):
            return Path(snapshot_download(repo, revision=revision, **chosen))
    except Exception as error:  # the library has some dozen kinds, and none of them may end in a traceback
        raise RefusedError(_why(repo, revision, error)) from error


def _why(repo: str, revision: str | None, error: Exception) -> str:
    kind = {kind.__name__ for kind in type(error).__mro__}
    text = " ".join(str(error).split())[:400]
    if "GatedRepoError" in kind:
        hint = "ask for access on its page, and name the token: pass_environment: [HF_TOKEN]"
    elif "RevisionNotFoundError" in kind:
        hint = f"correct model.revision, which is {revision}"
    elif "RepositoryNotFoundError" in kind:
        hint = "correct model.path; for a private model name the token: pass_environment: [HF_TOKEN]"
    elif kind & {"LocalEntryNotFoundError", "OfflineModeIsEnabled", "ConnectError", "ConnectionError", "OSError"}:
        hint = (
            "is the hub reached from this node (HF_ENDPOINT, a proxy), and is there space under HF_HOME? Or download "
            "it elsewhere into a shared HF_HOME, or give its directory as model.path"
        )
    else:
        hint = ""
    return f"{repo} could not be downloaded: {type(error).__name__}: {text}" + (f"; {hint}" if hint else "")


def _place(model: dict[str, Any], snapshot: Path) -> Path:
    """Put a snapshot where it is expected; returns where that is."""
    path = snapshot
    if model.get("stage"):
        path = Path(model["stage"])
        staging.stage(snapshot, path)
    elif model.get("link"):
        path = Path(model["link"])
        _link(snapshot, path)
    if model.get("tokenizer"):
        _copy_small(snapshot, Path(model["tokenizer"]))
        path = path if path != snapshot else Path(model["tokenizer"])
    return path


def _link(snapshot: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(snapshot)


def _copy_small(snapshot: Path, target: Path) -> None:
    """Real files, because the cache may be inside a container and the client outside."""
    target.mkdir(parents=True, exist_ok=True)
    for path in snapshot.iterdir():
        if path.is_file() and any(fnmatch(path.name, pattern) for pattern in SMALL):
            shutil.copyfile(path, target / path.name)


def _size(cache: Path) -> int:
    """Bytes in a model's cache, unfinished ones too."""
    total = 0
    for folder, _, files in os.walk(cache / "blobs"):
        for name in files:
            try:
                total += (Path(folder) / name).stat().st_size
            except OSError:
                continue
    return total
