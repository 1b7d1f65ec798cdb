"""Plant a truth, analyse and judge: analyses must find what was put in, and nothing where responses are shuffled over images.

Run ``python benchmarks/truth.py --session benchmark --seeds 10 11 12`` for all positive controls at full size, ``--controls semantic
gabor`` for some, ``--quick`` for small sessions, and ``--controls null --seeds $(seq 100)`` for shuffled pairs. The table is printed
as Markdown and, with ``--out FILE``, written; the exit code is 1 if any control fails. Development used seeds 0 to 4.
"""

import argparse
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from planted_controls import CONTROLS, Control
from scipy.stats import binom

from dina.alignment.fit import FitSettings
from dina.alignment.preset_settings import DefaultSettings, PaperSettings, PresetSettings
from dina.checks import DataError
from dina.interpretation import ANALYSES, AnalysisResult, Decoded, decode
from dina.measures.finding import Finding
from dina.randomness import generator_for
from dina.recordings.recording import Recording
from dina.recordings.synthetic import simulate

QUICK: dict[str, object] = {
    "n_neurons": 150,
    "n_stimuli": 400,
    "height": 24,
    "width": 48,
    "n_subunits": 80,
    "n_broad_factors": 10,
}
SMALL: dict[str, object] = {**QUICK, "n_neurons": 60, "n_stimuli": 240, "n_categories": 5, "n_spontaneous": 0}
FAILS_BY_CHANCE = 0.0015  # of an exact test of one finding: fewer than 88 of 100 seeds inside a 95 % null
ABOUT_PAIRS = (
    "queries assigned to other images",
    "maps of responses paired",
    "other images' maps",
    "reconstructions compared",
    "predictions compared",
    "images' trials taken for other images'",
    "images of other neurons",
    "pairs permuted",
    "categories drawn",
    "categories permuted",
    "low-level structure of other images",
    "the two exchanged at random",
    "the two stages exchanged",
    "capacities permuted",
)
"""How the words of nulls begin that hold where responses are shuffled over images."""
NOT_ABOUT_PAIRS = (
    "reconstructions from images' own maps",
    "95 % interval of untrained towers",
    "as many parts of the tower",
    "coverage ",
    "neurons permuted",
    "neurons of one of the two permuted",
    "no neuron distinguished",
    "fields of other neurons",
    "positions permuted",
    "signs of each neuron's differences",
    "networks rewired",
    "neurons that ",
    "noise model",
    "different shuffles",
    "draws of random subsets",
    "random subsets",
    "subsets matched",
    "all contributions equal",
    "contributions in proportion",
    "chance level",
)
"""How the words of all others begin: they ask about images, neurons or towers, and need not hold there."""
OF_IMAGES_ALONE = ("category_accuracy_low_level", "category_accuracy_luminance")
"""Statistics that read no response, although their null is worded as that of one that does."""
OTHER_TOWERS: dict[str, tuple[str, PresetSettings]] = dict.fromkeys(
    ("attention_subsets", "attention_interactions"),
    ("paper", PaperSettings(map_height=8, map_width=16, fit=PaperSettings().fit.model_copy(update={"n_epochs": 1}))),
)
"""Analyses that ask for towers other than those of the null."""


def plant(control: Control, name: str, session: str, seed: int, quick: bool) -> Recording:
    """Simulate the recording of a control."""
    settings = {**(QUICK if quick else {}), **control.settings}
    if name == "region":
        height, width = simulate(session, 0, settings={**settings, "n_neurons": 2, "n_stimuli": 10}).images.shape[2:]
        settings["field_region"] = (0, height, width // 3, 2 * width // 3)
    return simulate("demo" if quick else session, seed, settings=settings)


def carry_out(decoded: Decoded, names: Sequence[str]) -> dict[str, AnalysisResult]:
    """Return the results of some analyses; of those that cannot be done, none."""
    found: dict[str, AnalysisResult] = {}
    for name in names:
        try:
            found[name] = ANALYSES[name].run(decoded)
        except DataError as error:
            print(f"{name}: {error}", file=sys.stderr)
    return found


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


def shuffle_pairs(recording: Recording, seed: int, key: str) -> Recording:
    """Give the responses to each image another image at random, to all its trials the same; labels stay with images."""
    order = generator_for(seed, key).permutation(len(recording.images))
    labels = None if recording.labels is None else recording.labels[order]
    return replace(recording, name=f"{recording.name}-null", images=recording.images[order], labels=labels, truth=None)


def run_null(seeds: Sequence[int], analyses: Sequence[str]) -> tuple[list[str], bool]:
    """Analyse shuffled sessions, and count how often what depends on the pairing lies inside its null."""
    settings = DefaultSettings(stride=2, widths=(0.75, 1.5), n_orientations=2, fit=FitSettings(n_epochs=0))
    sessions = []
    for seed in seeds:
        recording, other = (
            shuffle_pairs(simulate("demo", seed, settings={**SMALL, "signal_to_noise": 2.0, "condition": condition}), seed, key)
            for condition, key in (("natural", "null"), ("white", "null of white images"))
        )
        decoded = decode(recording, "default", settings, seed, test_fraction=0.25, n_resamples=200)
        decoded = replace(decoded, others=(other,))
        results = carry_out(decoded, [name for name in analyses if name not in OTHER_TOWERS])
        for name, (preset, own) in OTHER_TOWERS.items():
            if name in analyses:
                results |= carry_out(decode(recording, preset, own, seed, test_fraction=0.25, n_resamples=200), [name])
        sessions.append({name: result.findings() for name, result in results.items()})
    rows, passed = count_inside(sessions, analyses)
    print("\n".join(rows), flush=True)
    return rows, passed


def count_inside(sessions: Sequence[Mapping[str, Sequence[Finding]]], analyses: Sequence[str]) -> tuple[list[str], bool]:
    """Count for every finding that depends on the pairing in how many shuffled sessions it lies inside its 95 % null.

    It fails, too, where an analysis has no result, where a null is in neither list, and where nothing was counted.
    """
    inside: dict[tuple[str, str], list[Finding]] = {}
    rows = ["| analysis | finding | inside its null | of | defined in | at least |", "|---|---|---|---|---|---|"]
    faults = []
    for name in analyses:
        without = sum(name not in session for session in sessions)
        faults += [f"| {name} | no result in {without} of {len(sessions)} **NO** | | | | |"] if without else []
        findings = [finding for session in sessions for finding in session.get(name, ())]
        undecided = {finding.null for finding in findings if not finding.null.startswith(ABOUT_PAIRS + NOT_ABOUT_PAIRS)} - {""}
        faults += [f"| {name} | is “{null}” about pairs? **NO** | | | | |" for null in sorted(undecided)]
        for finding in findings:
            if finding.null.startswith(ABOUT_PAIRS) and finding.name not in OF_IMAGES_ALONE:
                inside.setdefault((name, finding.name), []).append(finding)
    passed = bool(inside) and not faults
    for (name, statistic), counted in inside.items():
        # a statistic that is not defined has found nothing
        n_inside = sum(not finding.beats_null for finding in counted)
        n_defined = sum(math.isfinite(finding.value) for finding in counted)
        least = int(binom.ppf(FAILS_BY_CHANCE, len(counted), 0.95))
        passed &= n_inside >= least
        mark = "" if n_inside >= least else " **NO**"
        rows.append(f"| {name} | {statistic} | {n_inside}{mark} | {len(counted)} | {n_defined} | {least} |")
    return [*rows, *faults], passed


def main() -> int:
    """Read the command line, run, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--session", default="benchmark", help="simulated session of the positive controls")
    parser.add_argument("--seeds", type=int, nargs="+", default=[10])
    parser.add_argument("--controls", nargs="+", choices=[*CONTROLS, "null"], default=list(CONTROLS))
    parser.add_argument("--analyses", nargs="+", choices=list(ANALYSES), help="of the null; by default all quick ones")
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
        more, is_calm = run_null(words.seeds, words.analyses or quick_ones)
        rows, passed = [*rows, "", *more], passed and is_calm
    if words.out:
        words.out.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
