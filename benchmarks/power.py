"""Check forecasts on small simulated sessions: of accuracy, and of the chance that claims are decided.

``python benchmarks/power.py --seeds 0 1`` simulates sessions of 240 neurons and 1,800 images, each shown four times. The pilot has
half the neurons, 600 of the images and half the repeats; from it alone accuracy is foretold for twice the images, twice the neurons
and twice the repeats. Towers are then fitted to each of these, and 600 images that no fit has seen are sought in random galleries of 50.
Neurons, images and repeats of the larger study contain those of the pilot. Claims are judged with the towers of the pilot's size: from
findings of 60 of the last images the chance is foretold that 120 others decide each claim. What was found, and every number of the
pilot, is kept in ``runs/power.jsonl`` (``--out``) seed by seed; a seed that is there is not done again, so that another way to
foretell can be tried at no cost, and a stopped run goes on. With ``--verdicts`` only what claims rest on is measured, with one fit
instead of dozens. The ranges of `dina.power.forecast.FLOORS` were set on seeds 331 to
370; the check on seeds that had no part in any choice takes ``--seeds $(seq 371 410)``.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dina.analyses import RULES, analyse
from dina.analyses.decoded import Decoded
from dina.analyses.verdict import judge
from dina.checks import DataError
from dina.data.pairs import QUERY_KINDS, learn_standardiser, make_pairs, make_task
from dina.data.response_transform import ResponseTransform
from dina.models.transform_choice import choose_transform
from dina.power import Pilot, PowerSettings, foretell, measure_pilot
from dina.power.run_power import images_read
from dina.power.verdict_forecast import StudyAtHand, chance_to_decide
from dina.recordings.recording import Recording
from dina.recordings.simulator import simulate
from dina.retrieval.gallery_size import accuracy_by_image
from dina.statistics.finding import Finding
from dina.statistics.repeats import count_within_group
from dina.training.dina_decoder import DinaDecoder
from dina.training.fit import FitSettings
from dina.training.presets.default import DefaultSettings

N_PILOT, N_TEST, GALLERY = 600, 600, 50
N_NEURONS, N_REPEATS = 120, 2
SESSION = {"n_neurons": 2 * N_NEURONS, "n_stimuli": 2 * N_PILOT + N_TEST, "n_repeats": 2 * N_REPEATS, "n_spontaneous": 0}
SIZE = {"height": 24, "width": 48, "n_subunits": 200}
# local channels alone, started in closed form: a fit takes seconds, and accuracy grows with sizes as that of the whole preset does
TOWERS = DefaultSettings(spaces=(), widths=(0.75, 1.5), stride=3, fit=FitSettings(n_epochs=0))
# analyses that claims rest on and that are quick, with fewer draws and windows than by default
ANALYSED: dict[str, dict[str, Any]] = {
    "pathway_masking": {},
    "occlusion": {"n_untrained": 1, "spacing": 0.25},
    "spatial_frequency": {},
    "shape_texture": {},
    "semantics": {"n_draws": 40},
    "contributions": {},
    "sparse_subsets": {"n_random": 60, "n_matched": 12},
    "noise_shuffle": {},
}
READ = {key for rule in RULES.values() for key in (*rule.needs, *rule.asks_why, *rule.may_read)}
# which of the last images claims are judged with: those of a pilot, and twice as many others
N_JUDGED = 60
JUDGED = {"pilot": (0, N_JUDGED), "twice": (N_JUDGED, 3 * N_JUDGED)}
TWICE = ("nothing", "images", "neurons", "repeats")


@dataclass(frozen=True)
class _Session:
    """A simulated session with all its neurons and repeats, which neurons the pilot has, and the transform that it chose."""

    recording: Recording
    neurons: np.ndarray
    transform: ResponseTransform

    @classmethod
    def simulate(cls, seed: int) -> "_Session":
        recording = simulate("demo", seed=seed, settings={**SESSION, **SIZE})
        neurons = np.isin(np.arange(2 * N_NEURONS), np.random.default_rng(seed).permutation(2 * N_NEURONS)[:N_NEURONS])
        few = _with_repeats(recording, N_REPEATS)
        shown = few.select_trials(few.stimulus_id < N_PILOT, "The pilot.").select_neurons(neurons, "The pilot.")
        return cls(recording, neurons, choose_transform(shown, np.arange(N_PILOT)).transform)

    def of_pilot(self, n_repeats: int = N_REPEATS) -> Recording:
        """Return the neurons of the pilot, with all images."""
        return _with_repeats(self.recording, n_repeats).select_neurons(self.neurons, "The pilot.")


def measure(seed: int) -> dict[str, Any]:
    """Measure the pilot of a seed, and what studies of its own size and of twice each size find."""
    began = time.process_time()
    session = _Session.simulate(seed)
    few = session.of_pilot()
    shown = few.select_trials(few.stimulus_id < N_PILOT, "The pilot.")
    train, validation = _parts(N_PILOT, seed)
    standardiser = learn_standardiser(shown, train, session.transform)
    parts = [make_pairs(shown, ids, standardiser) for ids in (train, validation, validation)]
    pilot = measure_pilot(Decoded(shown, *parts, None, "default", TOWERS, seed), PowerSettings(gallery=GALLERY))
    of_pilot = time.process_time() - began
    larger = {
        "images": (few, 2 * N_PILOT),
        "neurons": (_with_repeats(session.recording, N_REPEATS), N_PILOT),
        "repeats": (session.of_pilot(2 * N_REPEATS), N_PILOT),
    }
    as_it_is = _study(few, N_PILOT, session.transform, seed)
    found = {"nothing": _accuracy(as_it_is)}
    before_verdicts = time.process_time()
    findings = _judged(as_it_is)
    of_verdicts = time.process_time() - before_verdicts
    for twice, (recording, n_images) in larger.items():
        chosen = session.transform
        if recording.n_neurons != N_NEURONS:
            chosen = choose_transform(recording, np.arange(N_PILOT), chosen.name).transform
        found[twice] = _accuracy(_study(recording, n_images, chosen, seed))
    seconds = {"pilot": of_pilot, "verdicts": of_verdicts, "all": time.process_time() - began}
    return {
        "seed": seed,
        "transform": session.transform.name,
        "found": found,
        "pilot": _stored(pilot),
        "findings": findings,
        "seconds": {name: round(each, 1) for name, each in seconds.items()},
    }


def measure_verdicts(seed: int) -> dict[str, Any]:
    """Measure only the findings of a seed that claims rest on: one fit instead of dozens."""
    began = time.process_time()
    session = _Session.simulate(seed)
    findings = _judged(_study(session.of_pilot(), N_PILOT, session.transform, seed))
    return {"seed": seed, "findings": findings, "seconds": {"verdicts": round(time.process_time() - began, 1)}}


def _parts(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(seed).permutation(n)
    return np.sort(order[n // 10 :]), np.sort(order[: n // 10])


def _with_repeats(recording: Recording, n: int) -> Recording:
    return recording.select_trials(count_within_group(recording.stimulus_id) < n, f"{n} repeats.")


def _study(recording: Recording, n_images: int, transform: ResponseTransform, seed: int) -> Decoded:
    """Fit to the first images; the last ones are for tests."""
    train, validation = _parts(n_images, seed)
    standardiser = learn_standardiser(recording, train, transform)
    last = np.arange(2 * N_PILOT, 2 * N_PILOT + N_TEST)
    parts = [make_pairs(recording, ids, standardiser) for ids in (train, validation, last)]
    towers = DinaDecoder("default", TOWERS, seed).fit(*parts[:2]).towers
    return Decoded(recording, *parts, towers, "default", TOWERS, seed, n_resamples=1000)


def _accuracy(decoded: Decoded) -> dict[str, float]:
    """Seek the last images."""
    result = {}
    for kind in QUERY_KINDS:
        task = make_task(decoded.test, kind)
        scores = decoded.towers.score(task.queries, task.gallery)
        result[kind] = float(accuracy_by_image(scores, task.target, GALLERY).mean())
    return result


def _judged(decoded: Decoded) -> dict[str, Any]:
    return {name: find(decoded, *which) for name, which in JUDGED.items()}


def find(decoded: Decoded, first: int, last: int) -> dict[str, Any]:
    """Carry out the analyses that claims rest on, with some of the last images, and return their findings, or why there are none."""
    ids = 2 * N_PILOT + np.arange(first, last)
    few = replace(decoded, test=make_pairs(decoded.recording, ids, decoded.train.standardiser))
    findings: dict[str, Any] = {}
    for name, settings in ANALYSED.items():
        try:
            findings[name] = [one.to_json() for one in analyse(few, name, settings).findings() if (name, one.name) in READ]
        except DataError as error:
            findings[name] = str(error)
    return findings


def _stored(pilot: Pilot) -> dict[str, Any]:
    by_image = {kind: {name: np.round(one, 5).tolist() for name, one in rows.items()} for kind, rows in pilot.by_image.items()}
    return {
        **{name: getattr(pilot, name) for name in ("gallery", "n_images", "n_neurons", "n_repeats")},
        "by_image": by_image,
        "by_half": pilot.by_half.tolist(),
    }


def read_pilot(stored: dict[str, Any]) -> Pilot:
    """Return the pilot that a line of the ledger holds."""
    by_image = {kind: {name: np.array(one) for name, one in rows.items()} for kind, rows in stored["by_image"].items()}
    return Pilot(**{**stored, "by_image": by_image, "by_half": np.array(stored["by_half"])})


def table(entries: list[dict[str, Any]]) -> list[str]:
    """Say for each size that is doubled how often the interval held what was found, how wide it was, and how far off the forecast."""
    lines = [
        "| twice the | queries | found, % | foretold, % | held | width, points | mean error | mean of absolute errors |",
        "|" + "---|" * 8,
    ]
    for twice in TWICE:
        for kind in QUERY_KINDS:
            found, foretold, low, high = _forecasts(entries, twice, kind)
            held, error = int(((low <= found) & (found <= high)).sum()), foretold - found
            cells = [f"{found.mean():.1f}", f"{foretold.mean():.1f}", f"{held} of {len(found)}", f"{np.median(high - low):.1f}"]
            cells += [f"{error.mean():+.1f}", f"{np.abs(error).mean():.1f}"]
            lines.append(f"| {twice} | {kind.replace('_', ' ')} | {' | '.join(cells)} |")
    return lines


def _forecasts(entries: list[dict[str, Any]], twice: str, kind: str) -> np.ndarray:
    """Return what was found, what was foretold, and both ends of the interval, in per cent, for each seed."""
    rows = []
    for entry in entries:
        pilot = read_pilot(entry["pilot"])
        times = {"images": len(_parts(N_PILOT, 0)[0]) / pilot.n_images}
        if twice != "nothing":
            times[twice] = 2 * times.get(twice, 1.0)
        one = foretell(pilot, times, N_TEST, GALLERY, kind, entry["seed"])
        rows.append((entry["found"][twice][kind], one.top1, one.low, one.high))
    return 100 * np.array(rows).T


def read_findings(stored: dict[str, Any]) -> tuple[dict[str, dict[str, Finding]], dict[str, str]]:
    """Return the findings that a line of the ledger holds of one study, and why analyses have none."""
    findings, missing = {}, {}
    for name, rows in stored.items():
        if isinstance(rows, str):
            missing[name] = rows
        else:
            findings[name] = {one["name"]: Finding.from_json(one) for one in rows}
    return findings, missing


def verdict_table(entries: list[dict[str, Any]]) -> list[str]:
    """Say for each claim how likely twice the test images were to decide it, and how often they did; where nothing is foretold, not."""
    lines = ["| claim | foretold of seeds | chance, % | decided, % | difference, points | within 15 |", "|" + "---|" * 6]
    for name, rule in RULES.items():
        rows = []
        for entry in entries:
            study = StudyAtHand(*read_findings(entry["findings"]["pilot"]), N_JUDGED, N_NEURONS, images_read(ANALYSED))
            if any(np.isnan(study.value(key)) for key in rule.needs):
                continue
            (verdict,) = judge([rule], *read_findings(entry["findings"]["twice"]))
            chance = 1 - chance_to_decide(rule, study, 2.0, seed=entry["seed"])["cannot tell"]
            rows.append((100 * chance, 100 * (verdict.verdict != "cannot tell")))
        cells = [name.replace("_", " "), f"{len(rows)} of {len(entries)}"]
        if rows:
            chance, share = np.mean(rows, axis=0)
            cells += [f"{chance:.0f}", f"{share:.0f}", f"{chance - share:+.0f}", _yes(abs(chance - share) <= 15)]
        else:
            cells += ["–"] * 4
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def goals(entries: list[dict[str, Any]]) -> list[str]:
    """Say whether forecasts from averaged responses are as good as they are meant to be."""
    lines = [
        "| twice the | held in 80 % of seeds | median width of 12 points or less | mean error of 2 points or less |",
        "|---|---|---|---|",
    ]
    for twice in TWICE[1:]:
        found, foretold, low, high = _forecasts(entries, twice, "averaged")
        held, width, error = ((low <= found) & (found <= high)).sum(), np.median(high - low), (foretold - found).mean()
        cells = [
            f"{_yes(held >= 0.8 * len(found))}: {held} of {len(found)}",
            f"{_yes(width <= 12)}: {width:.1f}",
            f"{_yes(abs(error) <= 2)}: {error:+.1f}",
        ]
        lines.append(f"| {twice} | {' | '.join(cells)} |")
    return lines


def _yes(holds: Any) -> str:
    return "yes" if holds else "NO"


def main() -> int:
    """Read the command line, measure what is missing, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs") / "power.jsonl")
    parser.add_argument("--verdicts", action="store_true", help="measure and check only the chances to decide claims")
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    lines = words.out.read_text(encoding="utf-8").splitlines() if words.out.is_file() else []
    entries = {one["seed"]: one for one in map(json.loads, lines)}
    for seed in words.seeds:
        if seed not in entries or not (words.verdicts or "pilot" in entries[seed]):
            entries[seed] = measure_verdicts(seed) if words.verdicts else measure(seed)
            words.out.parent.mkdir(parents=True, exist_ok=True)
            with words.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entries[seed]) + "\n")
            print(f"seed {seed}: {entries[seed]['seconds']} s, found {entries[seed].get('found', 'not sought')}", flush=True)
    chosen = [entries[seed] for seed in words.seeds]
    of_accuracy = [] if words.verdicts else [*table(chosen), "", *goals(chosen), ""]
    print("\n".join([*of_accuracy, *verdict_table(chosen)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
