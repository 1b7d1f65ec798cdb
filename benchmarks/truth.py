"""Plant a truth, analyse and judge: analyses must find what was put in, and nothing where responses are shuffled over images.

Run ``python benchmarks/truth.py --session benchmark --seeds 10 11 12`` for all positive controls at full size, ``--controls semantic
gabor`` for some, ``--quick`` for small sessions, and ``--controls null --seeds $(seq 100)`` for shuffled pairs. The table is printed
as Markdown and, with ``--out FILE``, written; the exit code is 1 if any control fails. Development used seeds 0 to 4.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from null_control import carry_out, run_null, shuffle_pairs
from planted_controls import CONTROLS, QUICK, Control

from dina.analyses import ANALYSES, decode
from dina.recordings.recording import Recording
from dina.recordings.simulator import simulate
from dina.training.fit import FitSettings
from dina.training.presets.default import DefaultSettings


def plant(control: Control, name: str, session: str, seed: int, quick: bool) -> Recording:
    """Simulate the recording of a control."""
    settings = {**(QUICK if quick else {}), **control.settings}
    if name == "region":
        height, width = simulate(session, 0, settings={**settings, "n_neurons": 2, "n_stimuli": 10}).images.shape[2:]
        settings["field_region"] = (0, height, width // 3, 2 * width // 3)
    recording = simulate("demo" if quick else session, seed, settings=settings)
    return shuffle_pairs(recording, seed, name) if control.is_shuffled else recording


def run_controls(names: Sequence[str], session: str, seeds: Sequence[int], quick: bool) -> tuple[list[str], bool]:
    """Return a row of the table for each control and seed, and whether all are right."""
    rows, passed = ["| control | planted | seed | found | right | seconds |", "|---|---|---|---|---|---|"], True
    for name in names:
        control = CONTROLS[name]
        for seed in seeds:
            began = time.perf_counter()
            recording = plant(control, name, session, seed, quick)
            decoded = decode(recording, "default", DefaultSettings(fit=FitSettings(n_epochs=0)), seed, n_resamples=1000)
            if control.towers is not None:
                decoded = replace(decoded, fitted=control.towers(decoded))
            found = carry_out(decoded, control.analyses)
            words, is_right = control.check(found, recording) if len(found) == len(control.analyses) else ("no result", False)
            passed &= is_right
            rows.append(
                f"| {name} | {control.planted} | {seed} | {words} | {'yes' if is_right else 'NO'} | {time.perf_counter() - began:.0f} |"
            )
            print(rows[-1], flush=True)
    return rows, passed


def main() -> int:
    """Read the command line, run, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--session", default="benchmark", help="simulated session of the positive controls")
    parser.add_argument("--seeds", type=int, nargs="+", default=[10])
    parser.add_argument("--controls", nargs="+", choices=[*CONTROLS, "null"], default=list(CONTROLS))
    parser.add_argument("--analyses", nargs="+", choices=list(ANALYSES), help="of the null; by default all quick ones")
    parser.add_argument(
        "--kept", type=Path, default=Path("runs") / "null", help="where findings of the null are kept, seed by seed"
    )
    parser.add_argument("--quick", action="store_true", help="small sessions")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    rows: list[str] = []
    passed = True
    positive = [name for name in words.controls if name != "null" and set(CONTROLS[name].analyses) <= set(ANALYSES)]
    if positive:
        rows, passed = run_controls(positive, words.session, words.seeds, words.quick)
    if "null" in words.controls:
        quick_ones = [name for name, row in ANALYSES.items() if not row.is_slow]
        more, is_calm = run_null(words.seeds, words.analyses or quick_ones, words.kept)
        rows, passed = [*rows, "", *more], passed and is_calm
    if words.out:
        words.out.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
