"""Stands in for SGLang's package of CUDA kernels, so that SGLang 0.5.23 runs a small dense model without a GPU.

Every name exists, so imports succeed; calling a kernel raises. A dense model with torch's own attention and sampling
calls none. Beside that, the calls to CUDA that SGLang makes on its way whatever the device (events, streams, pinned
memory) do nothing here. Made for one release: another one may ask for more.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.abc
import importlib.machinery
import sys
import types
from typing import Any

import torch

__version__ = "0.4.10"  # SGLang 0.5.23 refuses an older one


class Kernel:
    """Some kernel, known by its name only."""

    def __init__(self, name: str):
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{self._name} is a kernel for GPUs; the stand-in can't run it")

    def __getattr__(self, name: str) -> Kernel:
        return _kernel(f"{self._name}.{name}", name)


def _kernel(full_name: str, name: str) -> Kernel:
    if name.startswith("__"):  # inspection asks modules and functions for these; they must not seem to have all of them
        raise AttributeError(name)
    return Kernel(full_name)


def __getattr__(name: str) -> Kernel:
    return _kernel(f"{__name__}.{name}", name)


class Submodules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers `import sgl_kernel.<anything>` with a module of kernels."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith(f"{__name__}."):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        module = types.ModuleType(spec.name)
        module.__path__ = []
        module.__getattr__ = lambda name: _kernel(f"{spec.name}.{name}", name)  # type: ignore[method-assign]
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing is in it."""


class Operators:
    """`torch.ops.sgl_kernel`: model files take operators for CPUs while they are imported, and probe for others."""

    def __getattr__(self, name: str) -> Kernel:
        if name.endswith("_cpu") or name.startswith("fused_"):
            return _kernel(f"torch.ops.sgl_kernel.{name}", name)
        raise AttributeError(name)


class Event:
    """A CUDA event: on a CPU everything before it has happened."""

    def __init__(self, *args: Any, **kwargs: Any):
        pass

    def record(self, *args: Any) -> None:
        pass

    def wait(self, *args: Any) -> None:
        pass

    def synchronize(self) -> None:
        pass

    def query(self) -> bool:
        return True

    def elapsed_time(self, end: Event) -> float:
        return 0.0


class Stream(Event):
    """A CUDA stream: on a CPU there is one order only."""

    cuda_stream = 0
    device = torch.device("cpu")

    def wait_stream(self, *args: Any) -> None:
        pass

    def wait_event(self, *args: Any) -> None:
        pass

    def record_event(self, *args: Any) -> Event:
        return Event()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


def _without_pinning(make: Any) -> Any:
    @functools.wraps(make)
    def unpinned(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop("pin_memory", None)
        return make(*args, **kwargs)

    return unpinned


def _nothing() -> Any:
    """A function that does nothing; a new one each time, because torch's compiler keeps a table of its functions."""
    return lambda *args, **kwargs: None


def _replace_cuda() -> None:
    for name in ("arange", "empty", "empty_like", "empty_strided", "full", "ones", "tensor", "zeros", "zeros_like"):
        setattr(torch, name, _without_pinning(getattr(torch, name)))
    tensor: Any = torch.Tensor
    tensor.pin_memory = lambda self, *args, **kwargs: self
    tensor.record_stream = _nothing()
    cuda: Any = torch.cuda
    cuda.Event, cuda.Stream = Event, Stream
    cuda.current_stream = lambda *args, **kwargs: Stream()
    cuda.default_stream = lambda *args, **kwargs: Stream()
    cuda.stream = lambda *args, **kwargs: contextlib.nullcontext()
    cuda.synchronize, cuda.set_device = _nothing(), _nothing()
    every: Any = torch
    every.Event = Event
    every.ops.sgl_kernel = Operators()


sys.meta_path.insert(0, Submodules())
_replace_cuda()
