"""Check forecasts of accuracy on small simulated sessions: the interval that a pilot foretold should hold what a larger study finds.

``python benchmarks/power.py --seeds 0 1`` simulates sessions of 240 neurons and 1,800 images, each shown four times. The pilot has
half the neurons, 600 of the images and half the repeats; from it alone accuracy is foretold for twice the images, twice the neurons
and twice the repeats. Towers are then fitted to each of these, and 600 images that no fit has seen are sought in random galleries of 50.
Neurons, images and repeats of the larger study contain those of the pilot. What was found, and every number of the pilot, is kept in
``runs/power.jsonl`` (``--out``); a seed that is there is not done again, so that another way to foretell can be tried at no cost.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dina.analyses.decoded import Decoded
from dina.data.pairs import QUERY_KINDS, learn_standardiser, make_pairs, make_task
from dina.models.transform_choice import choose_transform
from dina.power import Pilot, PowerSettings, foretell, measure_pilot
from dina.recordings.recording import Recording
from dina.recordings.simulator import simulate
from dina.retrieval.gallery_size import accuracy_by_image
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
TWICE = ("nothing", "images", "neurons", "repeats")


def measure(seed: int) -> dict[str, Any]:
    """Measure the pilot of a seed, and what studies of its own size and of twice each size find."""
    began = time.process_time()
    recording = simulate("demo", seed=seed, settings={**SESSION, **SIZE})
    neurons = np.isin(np.arange(2 * N_NEURONS), np.random.default_rng(seed).permutation(2 * N_NEURONS)[:N_NEURONS])
    few = _with_repeats(recording, N_REPEATS)
    shown = few.select_trials(few.stimulus_id < N_PILOT, "The pilot.").select_neurons(neurons, "The pilot.")
    transform = choose_transform(shown, np.arange(N_PILOT)).transform
    train, validation = _parts(N_PILOT, seed)
    standardiser = learn_standardiser(shown, train, transform)
    parts = [make_pairs(shown, ids, standardiser) for ids in (train, validation, validation)]
    decoded = Decoded(shown, *parts, None, "default", TOWERS, seed)
    pilot = measure_pilot(decoded, PowerSettings(gallery=GALLERY))
    of_pilot = time.process_time() - began
    larger = {
        "nothing": (few.select_neurons(neurons, "The pilot."), N_PILOT),
        "images": (few.select_neurons(neurons, "The pilot."), 2 * N_PILOT),
        "neurons": (few, N_PILOT),
        "repeats": (recording.select_neurons(neurons, "The pilot."), N_PILOT),
    }
    found = {}
    for twice, (session, n_images) in larger.items():
        name = transform.name if session.n_neurons != N_NEURONS else None
        used = transform if name is None else choose_transform(session, np.arange(N_PILOT), name).transform
        found[twice] = _accuracy(session, n_images, used, seed)
    seconds = {"pilot": round(of_pilot, 1), "all": round(time.process_time() - began, 1)}
    return {"seed": seed, "transform": transform.name, "found": found, "pilot": _stored(pilot), "seconds": seconds}


def _parts(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(seed).permutation(n)
    return np.sort(order[n // 10 :]), np.sort(order[: n // 10])


def _with_repeats(recording: Recording, n: int) -> Recording:
    return recording.select_trials(count_within_group(recording.stimulus_id) < n, f"{n} repeats.")


def _accuracy(recording: Recording, n_images: int, transform: Any, seed: int) -> dict[str, float]:
    """Fit to the first images, and seek the last ones."""
    train, validation = _parts(n_images, seed)
    standardiser = learn_standardiser(recording, train, transform)
    decoder = DinaDecoder("default", TOWERS, seed).fit(*(make_pairs(recording, ids, standardiser) for ids in (train, validation)))
    test, result = make_pairs(recording, np.arange(2 * N_PILOT, 2 * N_PILOT + N_TEST), standardiser), {}
    for kind in QUERY_KINDS:
        task = make_task(test, kind)
        result[kind] = float(accuracy_by_image(decoder.score(task.queries, task.gallery), task.target, GALLERY).mean())
    return result


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
            rows = []
            for entry in entries:
                pilot = read_pilot(entry["pilot"])
                times = {"images": len(_parts(N_PILOT, 0)[0]) / pilot.n_images}
                if twice != "nothing":
                    times[twice] = 2 * times.get(twice, 1.0)
                one = foretell(pilot, times, N_TEST, GALLERY, kind, entry["seed"])
                rows.append((entry["found"][twice][kind], one.top1, one.low, one.high))
            found, foretold, low, high = 100 * np.array(rows).T
            held, error = int(((low <= found) & (found <= high)).sum()), foretold - found
            cells = [f"{found.mean():.1f}", f"{foretold.mean():.1f}", f"{held} of {len(rows)}", f"{np.median(high - low):.1f}"]
            cells += [f"{error.mean():+.1f}", f"{np.abs(error).mean():.1f}"]
            lines.append(f"| {twice} | {kind.replace('_', ' ')} | {' | '.join(cells)} |")
    return lines


def main() -> int:
    """Read the command line, measure what is missing, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs") / "power.jsonl")
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    lines = words.out.read_text(encoding="utf-8").splitlines() if words.out.is_file() else []
    entries = {one["seed"]: one for one in map(json.loads, lines)}
    for seed in words.seeds:
        if seed not in entries:
            entries[seed] = measure(seed)
            words.out.parent.mkdir(parents=True, exist_ok=True)
            with words.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entries[seed]) + "\n")
            print(f"seed {seed}: {entries[seed]['seconds']} s, found {entries[seed]['found']}", flush=True)
    print("\n".join(table([entries[seed] for seed in words.seeds])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
