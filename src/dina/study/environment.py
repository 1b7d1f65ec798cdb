"""The versions, threads and device on which a study ran: equal environment, settings and data give equal bytes."""

import platform
from importlib.metadata import version

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
        import torch  # imported here: only a GPU run needs its name

        described["device_name"] = torch.cuda.get_device_name()
    return described
