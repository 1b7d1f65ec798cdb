"""Plant a truth, analyse and judge: analyses must find what was put in, and nothing where responses are shuffled over images.

Run ``python benchmarks/truth.py --session benchmark --seeds 10 11 12`` for all positive controls at full size, ``--controls semantic
gabor`` for some, ``--quick`` for small sessions, and ``--controls null --seeds $(seq 100)`` for shuffled pairs. The table is printed
as Markdown and, with ``--out FILE``, written; the exit code is 1 if any control fails. Development used seeds 0 to 4.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import binom

from dina.alignment.aligned_towers import AlignedTowers
from dina.alignment.comparison import CosineComparison
from dina.alignment.fit import FitSettings
from dina.alignment.preset_settings import DefaultSettings
from dina.checks import DataError
from dina.interpretation import ANALYSES, AnalysisResult, Decoded, decode
from dina.interpretation.verdicts import RULES, judge
from dina.measures.finding import Finding
from dina.randomness import generator_for
from dina.recordings.recording import Recording
from dina.recordings.synthetic import simulate
from dina.towers.tower import ImageTower, NeuralTower

QUICK: dict[str, object] = {
    "n_neurons": 150,
    "n_stimuli": 400,
    "height": 24,
    "width": 48,
    "n_subunits": 80,
    "n_broad_factors": 10,
}
SMALL: dict[str, object] = {**QUICK, "n_neurons": 60, "n_stimuli": 240, "n_categories": 5, "n_spontaneous": 0}
PLANTED_CPD = 0.05
FAILS_BY_CHANCE = 0.0015  # of an exact test of one finding: fewer than 88 of 100 seeds inside a 95 % null
ABOUT_PAIRS = (
    "shuffled pairs",
    "pairs permuted",
    "categories drawn",
    "low-level structure of other images",
    "low-level distances",
)
"""How the words of nulls begin that hold where responses are shuffled over images; others are about neurons or images alone."""

Results = Mapping[str, AnalysisResult]
Checked = tuple[str, bool]


@dataclass(frozen=True)
class Control:
    """A planted truth, the analyses that must find it, and the check: what was found, and whether that is right.

    ``towers`` puts others in the place of the fitted ones.
    """

    planted: str
    settings: Mapping[str, object]
    analyses: tuple[str, ...]
    check: Callable[[Results], Checked]
    towers: Callable[[Decoded], AlignedTowers] | None = None


def by_name(result: AnalysisResult) -> dict[str, Finding]:
    """Return the findings of an analysis by name."""
    return {finding.name: finding for finding in result.findings()}


def by_verdicts(expected: Mapping[str, tuple[str, ...]]) -> Callable[[Results], Checked]:
    """Check that the verdict on each claim is one of those allowed."""

    def check(results: Results) -> Checked:
        found = {name: by_name(result) for name, result in results.items()}
        verdicts = dict(zip(expected, judge([RULES[name] for name in expected], found), strict=True))
        words = ", ".join(f"{name}: {verdict.verdict}" for name, verdict in verdicts.items())
        return words, all(verdicts[name].verdict in answers for name, answers in expected.items())

    return check


def check_frequency(results: Results) -> Checked:
    """Check that the curve ends at the planted cut-off, within 15 %."""
    edge = by_name(results["spatial_frequency"])["frequency_edge"]
    return f"{edge.value:.3f} ({edge.low:.3f} to {edge.high:.3f}) {edge.units}", abs(edge.value / PLANTED_CPD - 1) <= 0.15


def check_region(results: Results) -> Checked:
    """Check that losses are confined as the fields are, and less so once divided by coverage."""
    occlusion = by_name(results["occlusion"])
    score, coverage, normalised = (occlusion[f"participation_{name}"] for name in ("score", "coverage", "normalised"))
    words = f"losses {score.value:.2f} of the image, coverage {coverage.value:.2f}; divided {normalised.value:.2f} of the covered area"
    # a third of the image, and half a window more at either side
    return words, score.high < 0.5 and coverage.value < 0.5 and normalised.value > score.value


class OnePixel(ImageTower):
    """A tower that sees the pixel at a third of the height and of the width, and nothing else."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__(image_shape, (1, 1, 1), ())
        self.scale = torch.nn.Parameter(torch.ones(()))

    def draw_parameters(self, generator: torch.Generator) -> None:
        """Set the scale to 1; nothing here is random."""
        self.scale.data.fill_(1.0)

    def forward(self, images: torch.Tensor, masked: tuple[str, ...] = ()) -> torch.Tensor:
        """Return the pixel as the whole map."""
        row, column = (int(extent) // 3 for extent in images.shape[2:])
        return self.scale * images[:, :1, row : row + 1, column : column + 1]


class FirstNeuron(NeuralTower):
    """A tower whose map is the response of the first neuron."""

    def forward(self, responses: torch.Tensor) -> torch.Tensor:
        """Return one response as the whole map."""
        return responses[:, :1, None, None]


def read_one_pixel(decoded: Decoded) -> AlignedTowers:
    """Return towers that read one pixel."""
    image = OnePixel(decoded.towers.image_tower.image_shape)
    return AlignedTowers(image, FirstNeuron(decoded.train.n_neurons, (1, 1, 1)), CosineComparison()).eval()


def check_pixel(results: Results) -> Checked:
    """Check that the map changes most under the window nearest to the pixel."""
    dataset = results["occlusion"].to_dataset().sel(sweep="medium")
    mean = dataset["map_change"].mean("image").transpose("row", "column").to_numpy()
    row, column = (int(place) for place in np.unravel_index(mean.argmax(), mean.shape))
    height, width = results["occlusion"].size  # type: ignore[attr-defined]
    distance, step = [], []
    for name, place, extent in (("row", row, height), ("column", column, width)):
        centres = dataset[name].to_numpy()
        distance.append(abs(float(centres[place]) - extent // 3))
        step.append(float(np.diff(centres).max()))
    words = (
        f"peak {distance[0]:.1f} rows and {distance[1]:.1f} columns away, windows {step[0]:.0f} and {step[1]:.0f} pixels apart"
    )
    return words, all(away <= apart / 2 + 0.5 for away, apart in zip(distance, step, strict=True))


def check_informative(results: Results) -> Checked:
    """Check that the neurons that see images are found among those that do not."""
    area = by_name(results["contributions"])["planted_informative_area"]
    return f"area under the ROC curve {area.value:.3f} ({area.low:.3f} to {area.high:.3f})", area.value >= 0.95


YES, NO = ("supported",), ("not supported",)
NOT_YES = ("not supported", "cannot tell")
LOW_LEVEL = {"low_level_not_semantic": YES, "semantic": NO, "low_level": YES}
SEMANTIC = {"low_level_not_semantic": NO, "semantic": YES, "low_level": NO}
MIXTURE = {"low_level_not_semantic": NO, "semantic": YES, "low_level": YES}
NOT_SPARSE = {"sparse_code": NOT_YES, "sparse_subsets": NOT_YES}

CONTROLS: dict[str, Control] = {
    "gabor": Control("neurons see Gabors only", {}, ("semantics",), by_verdicts(LOW_LEVEL)),
    "network": Control("neurons see a random network", {"family": "random_network"}, ("semantics",), by_verdicts(LOW_LEVEL)),
    "semantic": Control("neurons know the category only", {"semantic_fraction": 1.0}, ("semantics",), by_verdicts(SEMANTIC)),
    "mixture": Control("half of the neurons each", {"semantic_fraction": 0.5}, ("semantics",), by_verdicts(MIXTURE)),
    "frequency": Control(
        f"nothing above {PLANTED_CPD} cycles/degree",
        {"frequency_limit_cpd": PLANTED_CPD},
        ("spatial_frequency",),
        check_frequency,
    ),
    "region": Control("fields in the middle third", {}, ("occlusion",), check_region),
    "pixel": Control("towers read one pixel", {}, ("occlusion",), check_pixel, read_one_pixel),
    "equal_neurons": Control(
        "all neurons equally good", {"equal_signal_to_noise": True}, ("sparse_subsets", "contributions"), by_verdicts(NOT_SPARSE)
    ),
    "unequal_neurons": Control(
        "log-normal signal-to-noise ratios", {}, ("sparse_subsets", "contributions"), by_verdicts(NOT_SPARSE)
    ),
    "informative": Control(
        "5 % of the neurons see images, well",
        {"informative_fraction": 0.05, "signal_to_noise": 3.0, "signal_to_noise_spread": 0.3, "n_neurons": 400},
        ("contributions",),
        check_informative,
    ),
}


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
            words, is_right = control.check(found) if len(found) == len(control.analyses) else ("no result", False)
            passed &= is_right
            rows.append(
                f"| {name} | {control.planted} | {seed} | {words} | {'yes' if is_right else 'NO'} | {time.perf_counter() - began:.0f} |"
            )
            print(rows[-1], flush=True)
    return rows, passed


def shuffle_pairs(recording: Recording, seed: int) -> Recording:
    """Give the responses to each image another image at random, to all its trials the same; labels stay with images."""
    order = generator_for(seed, "null").permutation(len(recording.images))
    labels = None if recording.labels is None else recording.labels[order]
    return replace(recording, name=f"{recording.name}-null", images=recording.images[order], labels=labels, truth=None)


def run_null(seeds: Sequence[int], analyses: Sequence[str]) -> tuple[list[str], bool]:
    """Count for every finding that depends on the pairing how many shuffled sessions lie inside its 95 % null."""
    inside: dict[tuple[str, str], list[bool]] = {}
    settings = DefaultSettings(stride=2, widths=(0.75, 1.5), n_orientations=2, fit=FitSettings(n_epochs=0))
    for seed in seeds:
        recording = shuffle_pairs(simulate("demo", seed, settings={**SMALL, "signal_to_noise": 2.0}), seed)
        decoded = decode(recording, "default", settings, seed, test_fraction=0.25, n_resamples=200)
        for name, result in carry_out(decoded, analyses).items():
            for finding in result.findings():
                # a statistic that is not defined has found nothing
                if finding.null.startswith(ABOUT_PAIRS):
                    inside.setdefault((name, finding.name), []).append(not finding.beats_null)
    rows, passed = ["| analysis | finding | inside its null | of | at least |", "|---|---|---|---|---|"], True
    for (name, statistic), flags in inside.items():
        least = int(binom.ppf(FAILS_BY_CHANCE, len(flags), 0.95))
        passed &= sum(flags) >= least
        mark = "" if sum(flags) >= least else " **NO**"
        rows.append(f"| {name} | {statistic} | {sum(flags)}{mark} | {len(flags)} | {least} |")
    print("\n".join(rows), flush=True)
    return rows, passed


def main() -> int:
    """Read the command line, run, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--session", default="benchmark", help="simulated session of the positive controls")
    parser.add_argument("--seeds", type=int, nargs="+", default=[10])
    parser.add_argument("--controls", nargs="+", choices=[*CONTROLS, "null"], default=list(CONTROLS))
    parser.add_argument("--analyses", nargs="+", choices=list(ANALYSES), help="of the null; all that are not slow")
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
