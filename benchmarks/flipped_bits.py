"""Flip single bits of a finished run, and count what each command then does: refuse, show the same, show something else, or break.

Run ``python benchmarks/flipped_bits.py --flips 700``. Bits are spread evenly over the files of a small run, each bit on a fresh
copy. A flipped bit counts as "refused" where the command ends with exit code 2, as "the same" where all that it prints and the
page that it writes are as before, as "changed" where they are not, and as "a bug" at any other end. Only the first two may occur.
"""

import argparse
import contextlib
import io
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from dina.cli import main
from dina.recordings.simulator import simulate

SESSION = {"n_neurons": 30, "n_stimuli": 100, "height": 16, "width": 24, "n_spontaneous": 20}
STUDY = ["--preset", "scratch", "--set", 'decoders=["dina", "ridge"]', "--set", "dina.fit.n_epochs=1"]
STUDY += ["--set", "evaluation.n_resamples=100", "--threads", "1"]
ANALYSES = ("contributions",)
ENDS = ("refused", "the same", "changed", "a bug")


def make_run(folder: Path) -> Path:
    """Write a small recording and its finished, interpreted run into a folder, and return the path of the run."""
    simulate("demo", 0, settings=SESSION).write(folder / "session.nc")
    run = folder / "run"
    for words in (
        ["study", str(folder / "session.nc"), "--out", str(run), *STUDY],
        ["interpret", str(run), *ANALYSES, "--threads", "1"],
    ):
        code, said = end_of(words)
        if code:
            raise SystemExit(said)
    shutil.copytree(run, folder / "other")
    return run


def commands_of(run: Path) -> dict[str, list[str]]:
    """Return the commands that read a run, by name."""
    return {
        "report": ["report", str(run)],
        "interpret": ["interpret", str(run), *ANALYSES, "--threads", "1"],
        "verdict": ["verdict", str(run), str(run.with_name("other"))],
        "compare": ["compare", str(run), str(run.with_name("other")), "--mixed"],
        "study": ["study", str(run.with_name("session.nc")), "--out", str(run), *STUDY],
        "verify": ["verify", str(run), "--threads", "1"],
    }


def end_of(words: list[str]) -> tuple[int, str]:
    """Return exit code and output of a command; that of an error, too."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            main(words)
        except SystemExit as ended:
            return int(ended.code or 0), out.getvalue()
    return 0, out.getvalue()


def shown_by(words: list[str], run: Path) -> tuple[int, str]:
    """Return the exit code of a command, and all that it shows: what it prints, and the page if it writes one."""
    code, said = end_of(words)
    page = (run / "report.html").read_text(encoding="utf-8") if words[0] in ("report", "interpret") and code == 0 else ""
    return code, said + page


def draw_bits(run: Path, n_flips: int, seed: int) -> list[tuple[str, int]]:
    """Return files and positions of bits, spread evenly over the files."""
    generator = np.random.default_rng(seed)
    files = sorted(path for path in run.rglob("*") if path.is_file() and path.stat().st_size)
    chosen = [files[i % len(files)] for i in generator.permutation(max(n_flips, len(files)))[:n_flips]]
    return [(path.relative_to(run).as_posix(), int(generator.integers(8 * path.stat().st_size))) for path in chosen]


def flip(path: Path, bit: int) -> None:
    """Flip one bit of a file in place."""
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(bytes(content))


def measure(run: Path, command: str, n_flips: int, seed: int = 0) -> tuple[Counter[str], list[str]]:
    """Return how often a command ended in each of `ENDS`, and the bits after which it should not have ended so."""
    whole = run.with_name("whole")
    run.rename(whole)
    ends: Counter[str] = Counter()
    wrong = []
    words = commands_of(run)[command]
    try:
        shutil.copytree(whole, run)
        expected = shown_by(words, run)
        for name, bit in draw_bits(whole, n_flips, seed):
            shutil.rmtree(run)
            shutil.copytree(whole, run)
            flip(run / name, bit)
            code, shown = shown_by(words, run)
            end = "refused" if code == 2 else "a bug" if code else "the same" if (code, shown) == expected else "changed"
            ends[end] += 1
            if end in ("changed", "a bug"):
                wrong.append(f"{command}: bit {bit} of {name}: {end}. {shown[-300:] if code else ''}")
    finally:
        shutil.rmtree(run, ignore_errors=True)
        whole.rename(run)
    return ends, wrong


def main_of_flips() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=700, help="bits, for each command")
    parser.add_argument("--commands", nargs="*", default=list(commands_of(Path("run"))), help="by default all")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder))
        print("command", *ENDS, sep="\t", flush=True)
        for command in words.commands:
            ends, wrong = measure(run, command, words.flips)
            print(command, *(ends[end] for end in ENDS), sep="\t", flush=True)
            print(*wrong, sep="\n", end="\n" if wrong else "", flush=True)


if __name__ == "__main__":
    main_of_flips()
