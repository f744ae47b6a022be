"""Slurm's words for why a job waits and how one ended, in ours, with what to do; the pages of the manual show them."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """Why a job waits.

    Attributes:
        pattern: Slurm's word, or a regular expression that fits a family of them.
        words: What it means; completes "it is queued: …".
        advice: What to do; empty where waiting is all there is.
        stuck: It never starts by itself.
    """

    pattern: str
    words: str
    advice: str = ""
    stuck: bool = False


@dataclass(frozen=True)
class End:
    """How a job ended, by the state that Slurm gives it.

    Attributes:
        state: Slurm's word.
        outcome: What srtctl calls it when the run itself left no final word.
        words: What happened.
        advice: What to do.
    """

    state: str
    outcome: str
    words: str
    advice: str


_LIMITS = (
    "`sacctmgr show assoc user=$USER` and `sacctmgr show qos` show the limits; `launcher.max_in_flight` asks for less"
)

REASONS = (
    Reason("None", "Slurm has not looked at it yet"),
    Reason("Resources", "it is next, as soon as enough nodes are free"),
    Reason("Priority", "jobs with a higher priority are before it"),
    Reason("Dependency", "it waits for other jobs (slurm.dependency, or launcher.max_in_flight)"),
    Reason("DependencyNeverSatisfied", "a job that it waits for ended otherwise than it was to", "cancel it and apply "
           "again without slurm.dependency, or with one that can come true", True),
    Reason("BeginTime", "its time has not come: a begin time was given, or it was put back into the queue just now"),
    Reason("JobHeldUser", "somebody holds it with your rights", "`scontrol release JOB`", True),
    Reason("JobHeldAdmin", "an administrator holds it", "ask who runs the cluster", True),
    Reason("JobHoldMaxRequeue", "it was put back into the queue too often", "`srtctl logs` tells why it did not stay; "
           "`scontrol release JOB` tries once more", True),
    Reason("launch failed requeued held|JobLaunchFailure", "a node could not start it, so it is held",
           "the node's administrator finds the reason in slurmd's log; `scontrol release JOB` tries again", True),
    Reason("PartitionDown|PartitionInactive", "its partition takes no jobs at present",
           "`sinfo -s` shows those that do; slurm.partition=NAME"),
    Reason("PartitionNodeLimit", "it asks for more nodes than its partition gives to one job",
           "fewer workers, or slurm.partition=NAME of a larger one; `scontrol show partition` shows the limits", True),
    Reason("PartitionTimeLimit", "it asks for more time than its partition gives", "a shorter slurm.time_limit, or "
           "launcher.max_points_per_allocation; `sinfo -s` shows the limits", True),
    Reason("PartitionConfig", "its partition can't give what it asks for", "`sinfo -o '%P %D %G %l %f'` shows what "
           "partitions have", True),
    Reason("ReqNodeNotAvail", "nodes that it needs are down, drained or reserved",
           "`sinfo -R` says why; slurm.nodelist and slurm.constraint ask for particular nodes: ask for others"),
    Reason("NodeDown", "a node that it needs is down", "`sinfo -R` says why"),
    Reason("Reservation", "its reservation has not begun, or is in use", "`scontrol show reservation`"),
    Reason("ReservationDeleted", "its reservation is gone", "apply again without slurm.reservation", True),
    Reason("Licenses", "licenses that it asks for are in use", "`scontrol show licenses`"),
    Reason("BadConstraints", "no nodes have what it asks for", "`sinfo -o '%P %D %G %f'` shows features and GPUs; see "
           "slurm.constraint and slurm.gres", True),
    Reason("InvalidAccount|AccountNotAllowed", "its account may not use this partition", "slurm.account=NAME; "
           "`sacctmgr show assoc user=$USER format=account,partition,qos` lists what you may use", True),
    Reason("InvalidQOS|QOSNotAllowed", "its quality of service may not be used here", "slurm.qos=NAME; `sacctmgr show "
           "assoc user=$USER format=account,qos` lists what you may use", True),
    Reason("QOS(Max|Grp).*|QOS(Job|Resource|Time)Limit|QOSUsageThreshold|MaxGRES.*|MaxTRES.*|MaxJobs.*",
           "a limit of its quality of service is reached", _LIMITS),
    Reason("QOSMin.*", "it asks for less than its quality of service wants", "another slurm.qos, or more nodes", True),
    Reason("Assoc.*|AssociationJobLimit|AssociationResourceLimit|AssociationTimeLimit",
           "a limit of its account is reached", _LIMITS),
    Reason("MaxMemPerLimit", "it asks for more memory than one job may have", "slurm.mem=…", True),
    Reason("Prolog|Cleaning|Configuring", "Slurm gets its nodes ready"),
    Reason("FrontEndDown|SchedDefer|BurstBuffer.*|PowerNot.*|Power.*|MaxPoweredUpNodes", "the cluster itself is busy "
           "or not ready", "if it lasts: ask who runs the cluster"),
    Reason("DeadLine", "it can't end before its deadline any more", "apply again without the deadline", True),
)  # fmt: skip

ENDS = (
    End("COMPLETED", "lost", "the job ended without a word of the run", "`srtctl logs` shows how far it came"),
    End("FAILED", "lost", "the job ended with a failure, and the run could not say why",
        "`srtctl logs` shows its last words; was it killed, or has the node no memory left?"),
    End("CANCELLED", "cancelled", "it was cancelled through Slurm",
        "`srtctl apply --resume SWEEP` runs what is missing"),
    End("TIMEOUT", "failed", "its time limit was over", "a longer slurm.time_limit, or fewer points per allocation "
        "(launcher.max_points_per_allocation); `srtctl apply --resume SWEEP` runs what is missing"),
    End("NODE_FAIL", "failed", "a node of it failed", "`srtctl apply --resume SWEEP slurm.exclude=NODE` runs what is "
        "missing without that node"),
    End("OUT_OF_MEMORY", "failed", "it used more memory than it had asked for", "slurm.mem=0 asks for all memory of "
        "each node"),
    End("PREEMPTED", "failed", "a job with more rights took its nodes", "`srtctl apply --resume SWEEP` runs what is "
        "missing; another slurm.qos or slurm.partition may be safe from that"),
    End("DEADLINE", "failed", "its deadline was over", "apply again with a later one"),
    End("BOOT_FAIL|LAUNCH_FAILED|RECONFIG_FAIL", "failed", "its nodes did not come up",
        "`srtctl apply --resume SWEEP`; if it happens again, ask who runs the cluster"),
    End("REVOKED", "failed", "another cluster took it", "`squeue --clusters=all` shows where it is"),
)  # fmt: skip


def reason_of(word: str) -> Reason:
    """What Slurm's word means; a word that is not in the table stands for itself."""
    first = word.partition(",")[0].strip().strip("()")
    exact = next((reason for reason in REASONS if reason.pattern == first), None)
    family = (reason for reason in REASONS if re.fullmatch(reason.pattern, first, re.IGNORECASE))
    return exact or next(family, Reason(first, f"Slurm says {first!r}"))


def end_of(state: str) -> End:
    """What a job's last state means; `CANCELLED by 1000` is sacct's way to say CANCELLED."""
    first = state.split()[0] if state.split() else ""
    found = (end for end in ENDS if re.fullmatch(end.state, first))
    return next(found, End(first, "lost", f"Slurm calls it {first!r}", "`srtctl logs` shows how far it came"))
