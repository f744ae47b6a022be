"""Weights and kernels that need Blackwell GPUs, on clusters whose GPUs are older."""

from __future__ import annotations

from typing import Any

import pytest

from tests.validate.jobs import AGGREGATED, ERROR, MOCKER, WARNING, findings

FLAGS = "backend.sglang_config.aggregated"
NVFP4 = {f"{FLAGS}.quantization": "modelopt_fp4"}


def found(changes: dict[str, Any], base: Any = AGGREGATED) -> set[tuple[str, str]]:
    return {(p.severity.value, p.key) for p in findings(base, changes) if p.rule == "blackwell"}


@pytest.mark.parametrize("gpu", ["h100", "h200", "NVIDIA_H100_80GB_HBM3", "a100"])
def test_nvfp4_on_older_gpus(gpu: str) -> None:
    on = {"cluster.gpu_type": gpu}
    assert found({**on, **NVFP4}) == {(WARNING, f"{FLAGS}.quantization")}
    assert found({**on, "model.precision": "NVFP4"}) == {(WARNING, "model.precision")}
    # SGLang's own choice there is Marlin; any other is refused when the weights are loaded
    assert found({**on, **NVFP4, f"{FLAGS}.moe-runner-backend": "flashinfer_trtllm"}) == {
        (ERROR, f"{FLAGS}.moe-runner-backend")
    }
    assert found({**on, **NVFP4, f"{FLAGS}.moe-runner-backend": "marlin"}) == {(WARNING, f"{FLAGS}.quantization")}


@pytest.mark.parametrize(
    "changes",
    [
        {"cluster.gpu_type": "b200"},
        {"cluster.gpu_type": "gb300"},
        {"cluster.gpu_type": None},  # unknown: nothing is guessed
        {"cluster.gpu_type": "rubin"},
        {"cluster.gpu_type": None, "resources.gpu_type": "gb200"},
        {"cluster.simulated_gpus": True},
    ],
)
def test_nvfp4_where_it_belongs(changes: dict[str, Any]) -> None:
    assert found({**NVFP4, f"{FLAGS}.moe-runner-backend": "flashinfer_trtllm", **changes}) == set()


def test_the_jobs_own_gpus_count_where_the_cluster_does_not_say() -> None:
    assert found({**NVFP4, "cluster.gpu_type": None, "resources.gpu_type": "h200"})


def test_kernels_of_a_mode_for_newer_gpus() -> None:
    flags = {"attention-backend": "trtllm_mla", "moe-runner-backend": "flashinfer_trtllm", "moe-a2a-backend": "none"}
    changes = {f"{FLAGS}.{name}": value for name, value in flags.items()}
    assert found(changes) == {(WARNING, f"{FLAGS}.attention-backend"), (WARNING, f"{FLAGS}.moe-runner-backend")}
    assert found({f"{FLAGS}.attention-backend": "flashinfer", f"{FLAGS}.moe-runner-backend": "triton"}) == set()


def test_simulated_engines_have_no_kernels() -> None:
    assert (
        found({"model.precision": "nvfp4", "cluster.gpu_type": "h200", "cluster.simulated_gpus": False}, MOCKER)
        == set()
    )


def test_what_is_said() -> None:
    (problem,) = [p for p in findings(AGGREGATED, {**NVFP4, f"{FLAGS}.moe-runner-backend": "flashinfer_cutlass"})
                  if p.rule == "blackwell"]  # fmt: skip
    assert "on Blackwell GPUs only, and the cluster's are h100" in problem.message
    assert problem.allowed == "auto or marlin"
