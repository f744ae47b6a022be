"""Images without a distribution in them: what is in /usr comes from this machine, all else is the image's own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.slurm.testcluster import packages
from tests.slurm.testcluster.node import ROOT

MARK = "/image-name"
_COPIED = ("passwd", "group", "nsswitch.conf", "ld.so.cache", "ssl", "localtime", "mime.types")
_EMPTY = ("proc", "sys", "dev", "tmp", "run", "root", "home", "var/tmp", "opt")


@dataclass(frozen=True)
class Image:
    """An image.

    Attributes:
        path: A directory or a squashfs file, as for `--container-image`.
        name: What the file `MARK` inside says, which is nowhere outside.
    """

    path: Path
    name: str


def host_image(
    path: Path, name: str, *, environment: Mapping[str, str] | None = None, more: Sequence[Path] = ()
) -> Image:
    """Make a directory image in which this machine's programs run, and this checkout's Python environment.

    Args:
        path: The directory to make.
        name: To tell images apart from inside.
        environment: The image's own variables.
        more: Directories of this machine that appear inside under the same path, read-only.
    """
    (path / "etc").mkdir(parents=True)
    for directory in _EMPTY:
        (path / directory).mkdir(parents=True)
    for entry in (Path("/etc", each) for each in _COPIED):
        if entry.is_dir():
            shutil.copytree(entry, path / "etc" / entry.name, symlinks=True, ignore_dangling_symlinks=True)
        elif entry.exists():
            shutil.copy(entry, path / "etc" / entry.name)
    variables = "".join(f"{key}={value}\n" for key, value in (environment or {}).items())
    (path / "etc/environment").write_text(variables)
    system = [Path("/bin"), Path("/sbin"), Path("/lib"), Path("/lib32"), Path("/lib64")]
    for link in (one for one in system if one.is_symlink()):  # into /usr
        (path / link.name).symlink_to(link.readlink())
    plain = [one for one in system if not one.is_symlink()]
    outermost = _outermost([Path("/usr"), *plain, ROOT / ".venv", Path(sys.prefix), Path(sys.base_prefix), *more])
    for inside in outermost:
        path.joinpath(inside.relative_to("/")).mkdir(parents=True, exist_ok=True)
    (path / ".from-host").write_text("".join(f"{inside}\n" for inside in outermost))
    (path / MARK.lstrip("/")).write_text(f"{name}\n")
    return Image(path, name)


def squash(image: Image, file: Path) -> Image:
    """The same image as a squashfs file (`.sqsh`).

    Raises:
        UnavailableError: mksquashfs can't be installed.
    """
    packages.ensure(packages.IMAGES)
    subprocess.run(
        ["mksquashfs", str(image.path), str(file), "-quiet", "-no-progress"], check=True, stdout=subprocess.DEVNULL
    )
    return Image(file, image.name)


def _outermost(directories: Sequence[Path]) -> list[Path]:
    """Without those that lie below others, and without those that aren't there."""
    there = sorted({directory for directory in directories if directory.is_dir()})
    return [one for one in there if not any(other in one.parents for other in there)]
