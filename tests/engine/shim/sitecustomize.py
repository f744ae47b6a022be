"""Runs first in every interpreter of the engine's environment; what it prepares is used only by those that need it."""

from __future__ import annotations

import ctypes
import sys
import types
from pathlib import Path

# The libraries that Mooncake is linked against, where the system has none: once loaded, the linker finds them by name.
# In this order, because the later ones need the earlier ones.
for _name in ("libnl-3.so.200", "libnl-route-3.so.200", "libibverbs.so.1", "librdmacm.so.1", "libnuma.so.1"):
    for _path in sorted((Path(sys.prefix) / "system").glob(f"**/{_name}")):
        ctypes.CDLL(str(_path), mode=ctypes.RTLD_GLOBAL)

# torchvision from the package index is built for CUDA. Its operators don't load beside torch's CPU build, and this
# module of it is the one that fails; nothing here uses images.
sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")
