"""The versions, threads and device on which a study ran: equal environment, settings and data give equal bytes."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no stubs

from dina import __version__

PACKAGES = ("numpy", "scipy", "torch", "scikit-learn", "scikit-image", "himalaya", "xarray", "h5netcdf")


def describe_environment(device: str, n_threads: int) -> dict[str, str | int]:
    """Return versions, machine, device and threads, ready for JSON.

    Parameters
    ----------
    device
        "cpu" or "cuda".
    n_threads
        Threads of numpy and torch.
    """
    described: dict[str, str | int] = {"dina": __version__, "python": platform.python_version()}
    described |= {package: version(package) for package in PACKAGES}
    described |= {"system": platform.system(), "machine": platform.machine(), "device": device, "n_threads": n_threads}
    if device == "cuda":
        described["device_name"] = torch.cuda.get_device_name()
    return described


@contextmanager
def fixed_threads(n_threads: int) -> Iterator[None]:
    """Keep numpy, scipy and torch at this number of threads: sums over other numbers differ in their last bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        with threadpool_limits(limits=n_threads):
            yield
    finally:
        torch.set_num_threads(before)
