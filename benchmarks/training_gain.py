"""What contrastive training adds to the closed-form start of `default`: as it is trained, trained for longer, and beside other towers.

``python benchmarks/training_gain.py demo demo:random_network --seeds 0 --out runs/training_gain.jsonl`` fits `default` on simulated
sessions, as ``benchmarks/fresh_images.py`` does, and asks with 600 fresh images in random galleries of 50; a path to a recording takes
30 % of its images for testing. Rows: towers before training ("start"); `default`; `default` trained for 30 epochs, chosen by log rank;
towers of `learnt_fields`; and the scores of the start plus those of `learnt_fields` times a weight that the log rank of validation images
chooses. The tables give each with its difference from the start, paired image by image.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from fresh_images import open_session
from image_ledger import GALLERY, Entry, Ledger, table

from dina.data.pairs import Gallery, Pairs, Queries, make_task
from dina.data.response_transform import transform_in
from dina.models.transform_choice import choose_transform
from dina.recordings import read
from dina.recordings.recording import Recording
from dina.retrieval.gallery_size import accuracy_by_image
from dina.retrieval.ranks import retrieve
from dina.shapes import Scores
from dina.study.prepared_recordings import SplitPairs, draw_splits
from dina.study.settings import read_settings
from dina.training.dina_decoder import DinaDecoder
from dina.training.presets.default import DefaultSettings

START = "start"
WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)
LONGER = {"n_epochs": 30, "patience": 10, "select_by": "log_rank"}
SPLIT = ["split.test_fraction=0.3", "split.validation_fraction=0.15"]  # of a recording

ScoreOf = Callable[[Queries, Gallery], Scores]


def parts_of(word: str, seed: int, n_fresh: int) -> tuple[Recording, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return a session or recording, and the images of its parts."""
    if not Path(word).exists():
        return open_session(word, seed, n_fresh)
    recording = read(word)
    split = draw_splits([recording], read_settings(overrides=SPLIT).split, [seed])[0]
    return recording, (split.train, split.validation, split.test)


def log_rank(scores: Scores, target: np.ndarray) -> float:
    """Return the mean logarithm of the rank of the shown image."""
    return float(np.log(retrieve(scores, target, "image_from_response").rank()).mean())


def choose_weight(start: ScoreOf, other: ScoreOf, validation: Pairs) -> float:
    """Return the weight of the other towers by which averaged responses find validation images best."""
    task = make_task(validation, "averaged")
    one, two = (score(task.queries, task.gallery) for score in (start, other))
    return min(WEIGHTS, key=lambda weight: log_rank(one + weight * two, task.target))


def run(word: str, seed: int, n_fresh: int, ledger: Ledger) -> None:
    """Fit and measure, unless the ledger has it."""
    name = Path(word).stem if Path(word).exists() else word
    if ledger.has(name, seed, START):
        return
    recording, parts = parts_of(word, seed, n_fresh)
    pairs = SplitPairs.of(recording, *parts, transform_in("chosen", choose_transform(recording, parts[0]).transform))
    began = time.perf_counter()
    default = DinaDecoder("default", None, seed).fit(pairs.train, pairs.validation)
    longer = DefaultSettings(fit=DefaultSettings().fit.model_copy(update=LONGER))
    towers = {"default": default, "default, 30 epochs": DinaDecoder("default", longer, seed).fit(pairs.train, pairs.validation)}
    towers["learnt_fields"] = learnt = DinaDecoder("learnt_fields", None, seed).fit(pairs.train, pairs.validation)
    before = default.towers_before_training
    assert before is not None  # the preset has a closed form
    weight = choose_weight(before.score, learnt.score, pairs.validation)
    scores: dict[str, ScoreOf] = {name: each.score for name, each in towers.items()}
    scores = {
        START: before.score,
        **scores,
        "start + learnt_fields": lambda queries, gallery: (
            before.score(queries, gallery) + weight * learnt.score(queries, gallery)
        ),
    }
    kept = {"default": default.history, "default, 30 epochs": towers["default, 30 epochs"].history}
    for row, score in scores.items():
        found = {"averaged": [float("nan")], "single_trial": [float("nan")]}
        # of averages alone, single trials are unknown
        kinds = ("averaged", "single_trial") if int(pairs.test.n_presentations.max()) == 1 else ("averaged",)
        for kind in kinds:
            task = make_task(pairs.test, kind)
            by_image = accuracy_by_image(score(task.queries, task.gallery), task.target, min(GALLERY, len(task.gallery.images)))
            found[kind] = [round(float(value), 6) for value in by_image]
        history = kept.get(row)
        notes = {"weight": weight, "best_epoch": None if history is None else history.best_epoch}
        ledger.add(Entry(name, seed, row, found["averaged"], found["single_trial"], notes))
        print(
            f"{name}, seed {seed}, {row}: {100 * np.mean(found['averaged']):.1f} / {100 * np.mean(found['single_trial']):.1f} %, {notes}",
            flush=True,
        )
    print(f"{time.perf_counter() - began:.0f} s", flush=True)


def main() -> int:
    """Read the command line, measure what is missing, print the tables, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sessions", nargs="+", metavar="SESSION[:VARIANT] or RECORDING")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--fresh", type=int, default=600, help="images of a session to test on")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs") / "training_gain.jsonl")
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    ledger = Ledger(words.out)
    for word in words.sessions:
        for seed in words.seeds:
            run(word, seed, words.fresh, ledger)
        name = Path(word).stem if Path(word).exists() else word
        print("\n".join(["", *table(ledger.entries, name, START), ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
