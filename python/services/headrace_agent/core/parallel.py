"""Ranks that work together: what they find around them, so that plain `mpirun` starts them all.

Of an attempt on one node the only worker is told its slots. On several nodes each worker runs
`parallel/start.sh` of this package: it waits for the others, or serves them by SSH. Variables are
those of Open MPI 4 (`ompi_info --all`).
"""

from typing import Final

from headrace_model.spec import JobSpec
from headrace_model.work import Work

INSIDE: Final = "/headrace/parallel"
"""Where a worker in an image finds the files of `FILES`, and its hosts."""
FILES: Final = ("start.sh", "session.sh", "ssh_config", "sshd_config")
LOST_CODE: Final = 75
"""The exit code (EX_TEMPFAIL) by which the first worker says that another one is away."""
_KEY: Final = "/run/secrets/headrace-parallel"
_HOSTS: Final = "/tmp/headrace/hosts"  # noqa: S108 - inside a container, by start.sh


def is_spread(work: Work, spec: JobSpec) -> bool:
    """Tell whether this worker has others on other nodes to work with."""
    return spec.is_spread and work.ranks > 1


def spread_argv(argv: tuple[str, ...]) -> tuple[str, ...]:
    """What a worker runs that has others to wait for, or to serve."""
    return ("/bin/sh", f"{INSIDE}/start.sh", *argv)


def files(work: Work, spec: JobSpec, user: tuple[int, int], home: str) -> dict[str, str]:
    """What lies in the worker's folder: its hosts; of one with others who it is, beside `FILES`.

    `user`: uid and gid that it runs as; SSH serves nobody without an entry.
    """
    if not is_spread(work, spec):
        return {"hosts": f"localhost slots={_slots(work, spec)}\n"}
    uid, gid = user
    return {"passwd": f"headrace:*:{uid}:{gid}::{home}:/bin/sh\n"}


def environment(
    work: Work, spec: JobSpec, folder: str, *, image: bool, root: bool
) -> dict[str, str]:
    """What Open MPI and `start.sh` are told; the job's own variables win.

    `folder`: where the worker finds `files`; `root`: it runs as root, and not in an image.
    """
    spread = is_spread(work, spec)
    told = {
        "OMPI_MCA_orte_default_hostfile": _HOSTS if spread else f"{folder}/hosts",
        # CPUs are a share and no cores of its own: a rank that waits leaves them to others, and
        # none is bound to a core that a rank of another job is bound to as well.
        "OMPI_MCA_mpi_yield_when_idle": "1",
        "OMPI_MCA_hwloc_base_binding_policy": "none",
    }
    if image:
        # A container may not read the memory of another process.
        told["OMPI_MCA_btl_vader_single_copy_mechanism"] = "none"
    if root:
        told |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    if spread:
        told["OMPI_MCA_plm_rsh_agent"] = f"ssh -F {folder}/ssh_config"
        told["HEADRACE_PARALLEL_KEY"] = _KEY
        told["HEADRACE_SLOTS"] = str(_slots(work, spec))
    return told


def _slots(work: Work, spec: JobSpec) -> int:
    return (work.resources or spec.resources.amount).ranks
