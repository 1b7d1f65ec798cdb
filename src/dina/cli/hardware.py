"""What the command computes with: cores, threads, device, and memory that is kept for the next arrays."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from typing import Any

from dina.memory import keep_memory


def count_cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_threads(n_threads: int | None) -> int:
    """Fix the number of threads of numpy and torch before they are imported, and return it; by default all cores.

    Memory of freed arrays is kept for the next ones from here on.
    """
    keep_memory()
    known = os.environ.get("OMP_NUM_THREADS", "")
    n = n_threads or (int(known) if known.isdigit() and int(known) > 0 else count_cores())
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(n)
    import torch  # imported here: it takes a second, which `dina --help` must not

    torch.set_num_threads(n)
    return n


def joined_processes() -> AbstractContextManager[None]:
    """Join the processes that torchrun started, if it did, see `dina.processes.joined_processes`."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return nullcontext()
    set_threads(None)
    from dina import processes  # imported here: it loads torch

    return processes.joined_processes()


def choose_device(name: str) -> str:
    """Return "cpu" or "cuda" for "auto", "cpu" or "cuda".

    Raises
    ------
    DataError
        For "cuda" without a CUDA device.
    """
    import torch  # imported here: see `set_threads`

    from dina.checks import DataError, check_choice

    check_choice("device", name, ["auto", "cpu", "cuda"])
    if name == "cuda" and not torch.cuda.is_available():
        raise DataError("The device cuda needs a CUDA GPU and a CUDA build of torch; none was found. Use --device cpu.")
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"


def load_dask_part(name: str) -> Any:
    """Return a module that works with dask.distributed, where that is installed.

    Raises
    ------
    DataError
        Where it is not.
    """
    from dina.checks import DataError

    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("dask", "distributed"):
            raise
        raise DataError(
            "This needs dask.distributed, which is not installed. Install the extra in the folder of dina's source:"
            " pip install -e '.[sweep]'."
        ) from error


@contextmanager
def neurons_on_workers(scheduler: str | None) -> Iterator[None]:
    """Let the workers of a scheduler of dask, by address or file, fit blocks of neurons; None for this process alone."""
    if scheduler is None:
        yield
        return
    from dina.neuron_blocks import blocks_on

    with load_dask_part("dina.sweep.workers").workers_of(scheduler, is_default=False) as client, blocks_on(client):
        yield
