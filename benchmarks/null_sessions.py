"""Count in how many sessions of unrelated images and responses each finding lies outside its 95 % null: 5 % are expected.

``python benchmarks/null_sessions.py --seeds $(seq 1000 1199)`` fits the preset ``default`` to many small sessions and runs all quick
analyses, ``--slow`` the slow ones; ``--quick`` runs two sessions. Each session is kept in the ledger as soon as it is done, so that a
stopped command goes on. The exit code is 1 if a finding is too often outside.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from null_control import ABOUT_PAIRS, shuffle_pairs
from scipy.stats import beta, binom

from dina.analyses import ANALYSES, Decoded, decode
from dina.checks import DataError
from dina.randomness import generator_for
from dina.recordings.recording import Recording
from dina.recordings.simulator import simulate
from dina.statistics.finding import Finding
from dina.training.presets.default import DefaultSettings

SHARE = 0.05
OFTEN = 20
SESSION: dict[str, object] = {
    "n_neurons": 24,
    "n_stimuli": 200,
    "height": 16,
    "width": 24,
    "n_subunits": 40,
    "n_broad_factors": 4,
    "n_categories": 4,
    "n_spontaneous": 0,
    "signal_to_noise": 2.0,
}
TOWERS = DefaultSettings(stride=2, n_orientations=2, widths=(0.75, 1.7))
# Fewer draws and windows than usual, for speed; nulls of few draws have as many as usual.
FEWER: dict[str, dict[str, object]] = {
    "image_reconstruction": {"n_epochs": 4},
    "occlusion": {"n_images": 12, "spacing": 0.25},
    "pathway_masking": {"n_random": 20},
    "refitted_subsets": {"fractions": (0.5,)},
    "semantics": {"n_draws": 40},
    "sparse_subsets": {"n_random": 30, "n_matched": 15},
}
WITHOUT_NULLS = ("variance_spectra",)
# Shares of an accuracy, defined only where it beats its null; these analyses fit many towers and are done only there.
OF_ACCURACY = ("spatial_frequency_refit", "shape_texture_refit")


def make_session(seed: int) -> tuple[str, Recording]:
    """Make unrelated data: odd seeds give independent responses, even seeds responses to images that were then exchanged.

    Independent responses have a signal (the same in all trials of an image) that has nothing to do with what the image shows, or with
    other neurons; categories and positions are unrelated to everything, too.
    """
    recording = simulate("demo", seed, settings=SESSION)
    if seed % 2 == 0:
        return "shuffled", shuffle_pairs(recording, seed, "null")
    generator = generator_for(seed, "independent responses")
    n_images, n_neurons = len(recording.images), recording.n_neurons
    signal, noise = (generator.standard_normal((n, n_neurons)) for n in (n_images, recording.n_trials))
    rate = np.exp(0.5 * generator.standard_normal(n_neurons))
    responses = (rate * np.exp(0.5 * (signal[recording.stimulus_id] + noise))).astype(np.float32)
    labels = None if recording.labels is None else recording.labels[generator.permutation(n_images)]
    return "independent", replace(recording, name="independent", responses=responses, labels=labels, truth=None)


def counts_here(kind: str, finding: Finding) -> bool:
    """Whether a finding must lie inside its null in this kind of session, if it has one."""
    if not (math.isfinite(finding.value) and math.isfinite(finding.null_low)):
        return False
    # exchanged images leave what neurons have in common, and categories what images have
    of_images = finding.name in ("category_accuracy_low_level", "category_accuracy_luminance")
    return kind == "independent" or (finding.null.startswith(ABOUT_PAIRS) and not of_images)


def run_session(seed: int, *, slow: bool, only: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Decode one session, run its analyses (those named, if any are), and return a line for every finding and a last one for the session."""
    began, seconds = time.process_time(), {}
    kind, recording = make_session(seed)
    decoded = decode(recording, "default", TOWERS, seed, test_fraction=0.25, n_resamples=399)
    seconds["decode"] = round(time.process_time() - began, 2)
    lines, is_above = [], False
    for name, row in ANALYSES.items():
        if row.is_slow != slow or name in WITHOUT_NULLS or (name in OF_ACCURACY and not is_above):
            continue
        if only and name not in only:
            continue
        began = time.process_time()
        for one in _findings(name, decoded):
            is_outside = one.beats_null if counts_here(kind, one) else None
            is_above |= one.name == "top1_all" and one.value > one.null_high
            lines.append({"session": seed, "kind": kind, "analysis": name, **one.to_json(), "outside": is_outside})
        seconds[name] = round(time.process_time() - began, 2)
    return [*lines, {"session": seed, "slow": slow, "seconds": seconds}]


def _findings(name: str, decoded: Decoded) -> tuple[Finding, ...]:
    row = ANALYSES[name]
    settings = None if row.settings_type is None else row.settings_type.model_validate(FEWER.get(name, {}))
    try:
        return row.run(decoded, settings).findings()
    except DataError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return ()


def read_ledger(path: Path, *, slow: bool) -> dict[int, list[dict[str, Any]]]:
    """Return the lines of every finished session; those of a session that was cut off are left out."""
    finished: dict[int, list[dict[str, Any]]] = {}
    begun: list[dict[str, Any]] = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        begun = [*begun, line] if begun and begun[-1]["session"] == line["session"] else [line]
        if "seconds" in line:
            if line["slow"] == slow:
                finished[line["session"]] = begun[:-1]
            begun = []
    return finished


@dataclass(frozen=True)
class Row:
    """How often one finding lay outside its null; ``p_value`` is that of as many or more if 5 % do, adjusted after Holm."""

    name: str
    n_outside: int
    n: int
    low: float
    high: float
    p_value: float


def count(sessions: Sequence[Sequence[dict[str, Any]]]) -> list[Row]:
    """Count every finding over sessions, with exact (Clopper-Pearson) 95 % intervals; those that lie outside most often come first."""
    outside: dict[str, list[bool]] = {}
    for line in (line for session in sessions for line in session):
        if line["outside"] is not None:
            outside.setdefault(f"{line['analysis']}: {line['name']}", []).append(line["outside"])
    found = sorted(((float(binom.sf(sum(each) - 1, len(each), SHARE)), name) for name, each in outside.items()))
    rows, adjusted = [], 0.0
    for place, (p_value, name) in enumerate(found):
        k, n = sum(outside[name]), len(outside[name])
        adjusted = max(adjusted, min(1.0, p_value * (len(found) - place)))
        low = float(beta.ppf(0.025, k, n - k + 1)) if k else 0.0
        high = float(beta.ppf(0.975, k + 1, n - k)) if k < n else 1.0
        rows.append(Row(name, k, n, low, high, adjusted))
    return rows


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Write the rows, and their mean, as Markdown."""
    yield "| finding | outside | of | share, % | 95 % interval | p (Holm) |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        interval = f"{100 * row.low:.1f} to {100 * row.high:.1f}"
        yield f"| {row.name} | {row.n_outside} | {row.n} | {100 * row.n_outside / row.n:.1f} | {interval} | {row.p_value:.2g} |"
    for words, some in (("all", rows), (f"those in {OFTEN} sessions or more", [row for row in rows if row.n >= OFTEN])):
        mean = np.mean([row.n_outside / row.n for row in some]) if some else math.nan
        n_outside, n = (sum(getattr(row, name) for row in some) for name in ("n_outside", "n"))
        yield f"| mean of {len(some)} findings, {words} | {n_outside} | {n} | {100 * mean:.1f} | | |"


def main() -> int:
    """Read the command line, run what the ledger lacks, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--slow", action="store_true", help="slow analyses instead of the quick ones")
    parser.add_argument("--quick", action="store_true", help="two sessions")
    parser.add_argument(
        "--analyses", nargs="+", choices=list(ANALYSES), default=[], help="some alone; give a ledger of their own"
    )
    parser.add_argument("--ledger", type=Path, default=Path("runs") / "null_sessions.jsonl")
    words = parser.parse_args()
    torch.set_num_threads(1)
    seeds = [0, 1] if words.quick else words.seeds
    done = read_ledger(words.ledger, slow=words.slow)
    words.ledger.parent.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        if seed not in done:
            lines = run_session(seed, slow=words.slow, only=words.analyses)
            with words.ledger.open("a", encoding="utf-8") as file:
                file.write("".join(json.dumps(line) + "\n" for line in lines))
            done[seed] = lines[:-1]
            print(f"session {seed}: {sum(lines[-1]['seconds'].values()):.0f} s", file=sys.stderr, flush=True)
    rows = count([done[seed] for seed in seeds])
    print("\n".join(table(rows)))
    return 1 if any(row.p_value < SHARE / 2 for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
