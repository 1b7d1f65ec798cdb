"""What `dina doctor` shows: versions, threads, device, memory, cache and speed, and what is wrong with them."""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dina.cli.process import choose_device, set_threads

FREE_GB_WANTED = 4.0


def carry_out_doctor(threads: int | None) -> None:
    """Print a table of facts to standard output and what to do about the bad ones."""
    n_threads = set_threads(threads)
    from dina.study.environment import describe_environment  # imported here: threads are set before numpy is loaded

    device = choose_device("auto")
    advice: list[str] = []
    facts = {name: str(value) for name, value in describe_environment(device, n_threads).items()} | {"cores": str(os.cpu_count())}
    total, free = _memory_gb()
    facts["memory"] = "unknown" if total is None else f"{free:.1f} GB free of {total:.1f} GB"
    if free is not None and free < FREE_GB_WANTED:
        advice.append(f"A study of a large recording needs {FREE_GB_WANTED:.0f} GB of free memory; {free:.1f} GB are free.")
    facts |= _cache_facts(advice)
    facts["here"] = f"{Path.cwd()} ({_writable(Path.cwd(), advice)}, {shutil.disk_usage(Path.cwd()).free / 1e9:.0f} GB free)"
    facts["speed"] = f"{_gigaflops('cpu'):.0f} GFLOP/s (float32 matrix product, cpu)"
    if device == "cuda":
        facts["speed, cuda"] = f"{_gigaflops('cuda'):.0f} GFLOP/s"
    table = Table(show_header=False, box=None)
    for name, value in facts.items():
        table.add_row(name, value)
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 110, highlight=False, markup=False)
    console.print(table)
    for sentence in advice or ["All is well."]:
        console.print(sentence, soft_wrap=True)


def _memory_gb() -> tuple[float | None, float | None]:
    """Return total and available memory; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        kilobytes = {line.split(":")[0]: float(line.split()[1]) for line in lines}
        return kilobytes["MemTotal"] / 1e6, kilobytes["MemAvailable"] / 1e6
    except (OSError, KeyError, ValueError, IndexError):
        return None, None


def _cache_facts(advice: list[str]) -> dict[str, str]:
    from dina.recordings.download import data_folder  # imported here: see above

    folder = data_folder("stringer2018").parent
    if not folder.is_dir():
        return {"cache": f"{folder} (not made yet; `dina fetch` makes it)"}
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {"cache": f"{folder} ({_writable(folder, advice)}, holds {size / 1e9:.2f} GB)"}


def _writable(folder: Path, advice: list[str]) -> str:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return "writable"
    except OSError:
        advice.append(f"{folder} is not writable; runs and downloads need a folder that is.")
        return "not writable"


def _gigaflops(device: str) -> float:
    """Time products of two 1024 × 1024 matrices for a quarter of a second."""
    import torch  # imported here: threads are set before it is loaded

    a = torch.ones(1024, 1024, device=device)
    b = a @ a
    n, began = 0, time.perf_counter()
    while time.perf_counter() - began < 0.25:
        b = a @ a
        if device == "cuda":
            torch.cuda.synchronize()
        n += 1
    del b
    return n * 2 * 1024**3 / (time.perf_counter() - began) / 1e9
