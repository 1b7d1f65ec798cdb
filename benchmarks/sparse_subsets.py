"""Measure sparse subsets of simulated sessions whose truth is known: the table of ``docs/neural-side.md``.

``python benchmarks/sparse_subsets.py --seed 0`` decodes each session with the preset `default`, as it starts, and prints the table as
Markdown, with how long each took. ``--sessions demo equal`` measures some of them.
"""

import argparse
import math
import sys
import time

import torch
from planted_controls import CONTROLS, by_name

from dina.analyses import ANALYSES, decode
from dina.recordings.simulator import simulate
from dina.statistics.finding import Finding
from dina.training.fit import FitSettings
from dina.training.presets.default import DefaultSettings

SESSIONS = {
    "benchmark": ("`benchmark`: log-normal signal-to-noise ratios, no special tuning", "benchmark", "unequal_neurons"),
    "demo": ("`demo`, the same", "demo", "unequal_neurons"),
    "equal": ("`demo`, equal signal-to-noise ratios", "demo", "equal_neurons"),
    "informative": ("`demo`, 5 % of 400 neurons informative", "demo", "informative"),
}
"""What each is called, the simulation, and the control whose settings it takes."""
WITH_INTERVAL = (
    "top_minus_snr_matched_area",
    "snr_explained_share",
    "gini_excess_over_equal",
    "gini_excess_over_signal_to_noise",
)


def measure(name: str, seed: int) -> str:
    """Return the row of the table of one session."""
    words, session, control = SESSIONS[name]
    began = time.perf_counter()
    recording = simulate(session, seed, settings=CONTROLS[control].settings)
    decoded = decode(recording, "default", DefaultSettings(fit=FitSettings(n_epochs=0)), seed, n_resamples=1000)
    found = by_name(ANALYSES["sparse_subsets"].run(decoded)) | by_name(ANALYSES["contributions"].run(decoded))
    best, random = (100 * found[f"half_fraction_{order}"].value for order in ("top", "random"))
    cells = [words, f"{best:.2g} %, {random:.2g} %", *(told(found[one]) for one in WITH_INTERVAL)]
    return f"| {' | '.join(cells)} | {time.perf_counter() - began:.0f} |"


def told(finding: Finding) -> str:
    """Return value and interval, or a dash where there is no value."""
    if math.isnan(finding.value):
        return "–"
    return f"{finding.value:.3f} [{finding.low:.3f}, {finding.high:.3f}]".replace("-", "−")


def main() -> int:
    """Read the command line, measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", nargs="+", choices=list(SESSIONS), default=list(SESSIONS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    columns = ["session", "half of the accuracy from: best, random", *(f"`{one}`" for one in WITH_INTERVAL), "seconds"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)
    for name in words.sessions:
        print(measure(name, words.seed), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
