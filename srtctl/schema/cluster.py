"""The cluster group: what is true of a site whatever is run there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional

from srtctl.schema.fields import key


@dataclass
class ToolsConfig:
    """Programs that are not part of srtctl. Unset ones are looked up as docs/installation says."""

    directory: Optional[str] = key(
        None, "Directory filled by `srtctl tools install` and `fetch`; default: inside srtctl's own environment."
    )
    etcd: Optional[str] = key(None, "Path of the etcd program.")
    nats_server: Optional[str] = key(None, "Path of the nats-server program.")
    nginx: Optional[str] = key(None, "Path of the nginx program.")
    dynamo_python: Optional[str] = key(None, "Python interpreter of an environment that has ai-dynamo.")
    sglang_python: Optional[str] = key(None, "Python interpreter of an environment that has SGLang.")
    aiperf: Optional[str] = key(None, "Path of the aiperf program.")
    lm_eval: Optional[str] = key(None, "Path of the lm_eval program, of lm-evaluation-harness.")
    nsys: Optional[str] = key(None, "Path of Nsight Systems' nsys, inside the container where the cluster uses one.")


@dataclass
class ClusterConfig:
    name: str = key("local", "Name shown in results.")
    executor: str = key(
        "local", "How processes are started: on this machine, or as Slurm steps.", allowed=("local", "slurm")
    )
    nodes: Optional[int] = key(None, "Number of nodes that a job may ask for; unset for no known limit.", minimum=1)
    gpus_per_node: Optional[int] = key(None, "GPUs of one node.", minimum=0)
    gpu_type: Optional[str] = key(None, "GPU model, such as h100; shown in results.")
    gpu_memory_gib: Optional[float] = key(None, "Memory of one GPU.", unit="GiB", minimum=0)
    simulated_gpus: bool = key(False, "The GPUs exist only on paper (the mocker needs none).")
    nodes_share_host: bool = key(False, "All nodes of the plan are this one machine (local).")
    network_interface: Optional[str] = key(
        None, "Interface whose address every process uses; unset for the default route's."
    )
    account: Optional[str] = key(None, "Slurm account of jobs that name none.", transient=True)
    partition: Optional[str] = key(None, "Slurm partition of jobs that name none.", transient=True)
    time_limit: Optional[str] = key(None, "Time limit of jobs that name none: HH:MM:SS or D-HH:MM:SS.", transient=True)
    use_gpus_per_node_directive: bool = key(True, "Ask for GPUs with --gpus-per-node.", transient=True)
    use_segment_directive: bool = key(False, "Ask for one block of nodes with --segment.", transient=True)
    use_exclusive_directive: Optional[bool] = key(
        None, "Ask for whole nodes with --exclusive; unset: where a job takes all memory and GPUs.", transient=True
    )
    sbatch_directives: Dict[str, Any] = key({}, "Directives of every job, under the job's own.", transient=True)
    srun_options: Dict[str, Any] = key({}, "Options of every step, under the job's own.", transient=True)
    container_runtime: str = key("none", "How steps enter containers.", allowed=("none", "pyxis"))
    container_writable: bool = key(True, "Containers' own files may be changed, which installing something needs.")
    container_remap_root: bool = key(False, "Be root inside of containers.")
    container_mount_home: bool = key(False, "Bring the user's home directory into containers.")
    container_entrypoint: bool = key(False, "Run an image's own entry point before each program.")
    container_workdir: Optional[str] = key(
        None, "Working directory of workers and frontends in containers; unset: the run's own, as outside."
    )
    container_env: List[str] = key([], "Variables that win over an image's own of the same name.")
    default_mounts: Dict[str, str] = key({}, "Host path -> container path, in every container.")
    model_paths: Dict[str, str] = key({}, "Alias -> path, or hf:org/name, for `model.path`.")
    containers: Dict[str, str] = key({}, "Alias -> image (.sqsh path or registry URI).")
    architecture: Optional[str] = key(
        None,
        "Architecture of the nodes, such as aarch64, which chooses programs for them; unset: what their GPUs tell "
        "(gb200 is beside aarch64), else this machine's.",
    )
    python: Optional[str] = key(
        None, "Python >= 3.10 of the compute nodes that runs the orchestrator; unset: this one."
    )
    tools: ToolsConfig = key(ToolsConfig, "Programs from outside.")
    output_dir: Optional[str] = key(None, "Where results go, unless -o or $SRTCTL_OUTPUT_DIR says it.", transient=True)
    environment: Dict[str, str] = key({}, "Variables of every process, under the job's own.")
