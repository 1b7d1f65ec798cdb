"""The versions, threads and device on which a study runs, the time that its steps take, and its log."""

import logging
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import torch
from threadpoolctl import threadpool_info, threadpool_limits  # type: ignore[import-untyped]  # it has no stubs

from dina.artifacts import write_json, write_text
from dina.models.towers.image.efficientnet import encoder_identity
from dina.processes import n_processes, on_every_process
from dina.safe_words import PrintableFormatter
from dina.study.run_directory import LOG, PROCESSOR, TIMINGS, Run
from dina.version import __version__

log = logging.getLogger(__name__)

PACKAGES = ("numpy", "scipy", "torch", "scikit-learn", "scikit-image", "himalaya", "xarray", "h5netcdf")
NOT_INSTALLED = "not installed"  # said of the trained network


def describe_environment(device: str, n_threads: int) -> dict[str, str | int]:
    """Return versions, machine, device, threads and processes: where these, settings and data agree, results agree to the byte."""
    described: dict[str, str | int] = {"dina": __version__, "python": platform.python_version()}
    described |= {package: version(package) for package in PACKAGES}
    encoder = encoder_identity()
    described["trained_network"] = f"{encoder.name} {encoder.version}" if encoder.version else NOT_INSTALLED
    described |= {"system": platform.system(), "machine": platform.machine(), "device": device, "n_threads": n_threads}
    described |= dict(zip(PROCESSOR, (_kernels(), torch.backends.cpu.get_cpu_capability()), strict=True))
    n_joined = on_every_process(n_processes)
    described |= {"n_processes": n_joined} if n_joined > 1 else {}
    if device == "cuda":
        described["device_name"] = torch.cuda.get_device_name()
    return described


def _kernels() -> str:
    """Name what the libraries of matrix products are compiled for that were loaded for this processor, such as SkylakeX."""
    return ", ".join(sorted({str(one["architecture"]) for one in threadpool_info() if one.get("architecture")})) or "not known"


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


class Timings:
    """Seconds that each step of a study took, written to ``timings.json`` after each step; a resumed study adds to them."""

    def __init__(self, folder: Path) -> None:
        self._run = Run(folder)
        self.seconds: dict[str, float] = dict(self._run.timings)

    @contextmanager
    def of(self, step: str) -> Iterator[None]:
        """Time one step, and say in the log that it begins."""
        log.info("%s …", step[:1].upper() + step[1:])
        began = time.perf_counter()
        yield
        self.note(step, self.seconds.get(step, 0.0) + time.perf_counter() - began)

    def note(self, step: str, seconds: float) -> None:
        """Write down how long a step took."""
        self.seconds[step] = round(seconds, 3)
        with self._run.files.writing() as place:
            write_json(place(TIMINGS), self.seconds)


@contextmanager
def kept_log(folder: Path) -> Iterator[None]:
    """Add the lines of the package's log to ``log.txt`` while a study runs."""
    logger = logging.getLogger("dina")
    path = folder / LOG
    if path.is_file() and path.stat().st_nlink > 1:  # the only file that grows in place: another name of it must not grow, too
        write_text(path, path.read_text(encoding="utf-8", errors="replace"))
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
