"""Analyse sessions whose responses are shuffled over images: statistics about the pairing must lie inside their nulls."""

import hashlib
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path

from planted_controls import QUICK
from rivals_entries import source_digest
from scipy.stats import binom

from dina.analyses import ANALYSES, AnalysisResult, Decoded, decode
from dina.artifacts import write_json
from dina.checks import DataError
from dina.randomness import generator_for
from dina.recordings.recording import Recording
from dina.recordings.simulator import simulate
from dina.statistics.finding import Finding
from dina.training.fit import FitSettings
from dina.training.presets.default import DefaultSettings
from dina.training.presets.paper import PaperSettings

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
    "the gallery and one of foreign images alone exchanged",
    "the two exchanged at random",
    "the two stages exchanged",
    "capacities permuted",
)
"""How the words of nulls begin that hold where responses are shuffled over images."""
NOT_ABOUT_PAIRS = (
    "95 % interval of untrained towers",
    "coverage ",
    "images of one of the two geometries permuted",
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
    "attended neurons permuted",
    "untrained towers",
    "towers fitted on all neurons",
    "maps of all neurons for other",
    "read-outs of other neurons",
    "draws of random neurons",
    "draws of neurons matched",
    "draws of random subsets",
    "random subsets",
    "subsets matched",
    "all contributions equal",
    "contributions in proportion",
)
"""How the words of all others begin: they ask about images, neurons or towers, and need not hold there."""
OF_IMAGES_ALONE = ("category_accuracy_low_level", "category_accuracy_luminance")
"""Statistics that read no response, although their null is worded as that of one that does."""
DEFAULT = DefaultSettings(stride=2, widths=(0.75, 1.5), n_orientations=2, fit=FitSettings(n_epochs=0))
PAPER = PaperSettings(map_height=8, map_width=16, fit=PaperSettings().fit.model_copy(update={"n_epochs": 1}))
OTHER_PRESET = dict.fromkeys(("attention_subsets", "attention_received", "attention_interactions"), "paper")
"""Analyses that ask for towers other than those of `default`."""


def carry_out(decoded: Decoded, names: Sequence[str]) -> dict[str, AnalysisResult]:
    """Return the results of some analyses; of those that cannot be done, none."""
    found: dict[str, AnalysisResult] = {}
    for name in names:
        try:
            found[name] = ANALYSES[name].run(decoded)
        except DataError as error:
            print(f"{name}: {error}", file=sys.stderr)
    return found


def shuffle_pairs(recording: Recording, seed: int, key: str) -> Recording:
    """Give the responses to each image another image at random, to all its trials the same; labels stay with images."""
    order = generator_for(seed, key).permutation(len(recording.images))
    labels = None if recording.labels is None else recording.labels[order]
    return replace(recording, name=f"{recording.name}-null", images=recording.images[order], labels=labels, truth=None)


def run_null(seeds: Sequence[int], analyses: Sequence[str], kept: Path) -> tuple[list[str], bool]:
    """Analyse shuffled sessions, and count how often what depends on the pairing lies inside its null.

    What was found is kept in ``kept``, so that a stopped command goes on, and several may share the seeds; other source of dina,
    or of this file, makes everything anew.
    """
    sessions = []
    for seed in seeds:
        found = {}
        for name in analyses:
            place = kept / _digest() / f"seed{seed}-{name}.json"
            if not place.is_file():
                result = carry_out(_shuffled(seed, OTHER_PRESET.get(name, "default")), [name])
                place.parent.mkdir(parents=True, exist_ok=True)
                findings = result[name].findings() if name in result else ()
                write_json(place, {"findings": [one.to_json() for one in findings]})
            content = json.loads(place.read_text(encoding="utf-8"))["findings"]
            if content:
                found[name] = tuple(Finding.from_json(one) for one in content)
        sessions.append(found)
        print(f"seed {seed} is there", file=sys.stderr, flush=True)
    rows, passed = count_inside(sessions, analyses)
    print("\n".join(rows), flush=True)
    return rows, passed


@cache
def _digest() -> str:
    """Name what findings depend on beside seed and analysis."""
    return hashlib.sha256(source_digest().encode() + Path(__file__).read_bytes()).hexdigest()[:16]


@lru_cache(maxsize=2)
def _shuffled(seed: int, preset: str) -> Decoded:
    """Decode a shuffled session, beside one of whitened images."""
    recording, other = (
        shuffle_pairs(simulate("demo", seed, settings={**SMALL, "signal_to_noise": 2.0, "condition": condition}), seed, key)
        for condition, key in (("natural", "null"), ("white", "null of white images"))
    )
    settings = PAPER if preset == "paper" else DEFAULT
    return replace(decode(recording, preset, settings, seed, test_fraction=0.25, n_resamples=200), others=(other,))


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
