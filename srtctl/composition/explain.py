"""What goes wrong while composing, as Problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from srtctl.errors import Problem, SrtctlError

if TYPE_CHECKING:
    from srtctl.composition.session import Session


def translate(error: BaseException, session: Session) -> list[Problem]:
    """The problems that an exception of Hydra, OmegaConf or ours stands for."""
    if isinstance(error, SrtctlError):
        return list(error.problems)
    text = str(error.__cause__ or error) or type(error).__name__
    return [Problem("composition", text.splitlines()[0], source="")]


def mismatched_types(config: Mapping[str, Any], types: Mapping[str, type]) -> list[Problem]:
    """`backend.type` and `benchmark.type` set to something else than the group that was chosen."""
    problems = []
    for name, cls in types.items():
        field = getattr(cls, "__dataclass_fields__", {}).get("type")
        found = config[name].get("type")
        if field is not None and cls.__name__ not in ("BackendConfig", "BenchmarkConfig") and found != field.default:
            problems.append(
                Problem(
                    "type-of-group",
                    f"the keys of {name} are those of {name}={field.default}; choose the group instead of the key",
                    key=f"{name}.type",
                    value=found,
                    allowed=str(field.default),
                    hint=f"{name}={found}",
                )
            )
    return problems


def foreign_launcher(name: str) -> SrtctlError:
    """A launcher that is not srtctl's would run the preparation of jobs as a job."""
    return SrtctlError(
        Problem(
            "foreign-launcher",
            "this launcher can't start srtctl's jobs: it would run their preparation instead of them",
            key="hydra/launcher",
            value=name,
            allowed="srtctl_local, srtctl_slurm, srtctl_preview",
            hint="leave hydra/launcher out; cluster=... decides how jobs are started",
        )
    )


def explain(error: BaseException, session: Session, overrides: Sequence[str]) -> SrtctlError:
    """The error to show for `error`."""
    return SrtctlError(translate(error, session))
