"""Make the image tower that comes with dina, and measure what a pretrained image tower gives to a recording with few images.

``python benchmarks/pretraining.py ship`` trains it on simulated sessions and writes it into the package: the same bytes on the same kind
of processor. ``python benchmarks/pretraining.py curve --sessions demo --seeds 0 --sizes 20 50 100 200`` gives a simulated session only
so many images (a fifth of them for validation) and compares `pretrained_fields` with `learnt_fields`, whose image tower must learn from
these images alone and may make as many updates, and with ``ridge`` and `default`. All are asked with the same 600 fresh images in random
galleries of 50. ``--recording FILE`` measures a real recording instead: its test images are all that are left over, and each seed draws
others.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from fresh_images import VARIANTS, open_session
from image_ledger import Entry, Ledger, measure, table

from dina.data.response_transform import transform_in
from dina.models.transform_choice import choose_transform
from dina.randomness import generator_for
from dina.recordings import read
from dina.recordings.recording import Recording
from dina.recordings.simulator import simulate
from dina.retrieval.decoder import Decoder
from dina.rivals import RIVALS
from dina.study.prepared_recordings import SplitPairs
from dina.study.pretraining import pretrain
from dina.study.settings import read_settings
from dina.training.dina_decoder import DinaDecoder
from dina.training.fit import with_updates
from dina.training.presets import PRESETS, find_preset
from dina.training.presets.pretrained_fields import SHIPPED, ScaledFields

# Simulated sessions on which the shipped tower is trained, by variant: no study, table or test uses these seeds.
SHIPPED_FROM = {"": (1001, 1002, 1003, 1004), "random_network": (1005, 1006), "semantic": (1007, 1008)}
FEWEST_UPDATES = 500
FEWEST_FOR_DEFAULT = 50  # images that `default` needs
TRAINED = ("pretrained_fields", "learnt_fields")

Parts = tuple[np.ndarray, np.ndarray, np.ndarray]


def ship(path: Path, overrides: list[str]) -> None:
    """Train and write the image tower that comes with dina."""
    sessions = [simulate("demo", seed, settings=VARIANTS[variant]) for variant, seeds in SHIPPED_FROM.items() for seed in seeds]
    found = pretrain(sessions, path, read_settings(overrides=overrides, preset=ScaledFields()), force=True)
    size = path.stat().st_size
    print(f"{path.name}: {size:,} bytes, {found.n_updates:,} updates, {len(found.images):,} images, SHA-256 {found.sha256}")


def parts_of(word: str, seed: int, n_fresh: int, file: Path | None) -> tuple[Recording, Parts]:
    """Return a recording with the images to choose from for training and validation, none yet for either, and those to test."""
    if file is None:
        recording, parts = open_session(word, seed, n_fresh)
        return recording, (np.sort(np.concatenate(parts[:2])), parts[0][:0], parts[2])
    recording = read(file)
    order = generator_for(seed, "fresh images").permutation(np.unique(recording.stimulus_id))
    test, rest = np.split(order, [min(n_fresh, len(order) // 3)])
    return recording, (np.sort(rest), rest[:0], np.sort(test))


def few(images: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw some images, a fifth of them for validation; larger sets contain the smaller ones."""
    order = generator_for(seed, "few images").permutation(images)[:n]
    is_validation = np.arange(n) % 5 == 4
    return np.sort(order[~is_validation]), np.sort(order[is_validation])


def decoders(n_train: int, n: int, seed: int, recording: Recording, tower: Path) -> Iterator[tuple[str, Decoder]]:
    """Yield the decoders that can learn from so many images."""
    for name in TRAINED:
        settings = find_preset(name).settings_type()
        changes = {"fit": with_updates(settings.fit, [n_train], FEWEST_UPDATES)}
        changes |= {"image_tower": str(tower)} if name == "pretrained_fields" else {}
        yield name, DinaDecoder(name, settings.model_copy(update=changes), seed)
    yield "ridge", RIVALS["ridge"].build(seed, recording.truth)
    if n >= FEWEST_FOR_DEFAULT:
        yield "default", DinaDecoder("default", None, seed)


def curve(word: str, seed: int, sizes: list[int], n_fresh: int, file: Path | None, tower: Path, ledger: Ledger) -> None:
    """Fit and measure what the ledger lacks."""
    recording, (images, _, test) = parts_of(word, seed, n_fresh, file)
    for n in (size for size in sizes if size <= len(images)):
        train, validation = few(images, n, seed)
        transform = choose_transform(recording, train).transform
        for name, decoder in decoders(len(train), n, seed, recording, tower):
            row = f"{word}, {n} images"
            if ledger.has(row, seed, name):
                continue
            units = RIVALS[name].units if name in RIVALS else PRESETS[name].units
            pairs = SplitPairs.of(recording, train, validation, test, transform_in(units, transform))
            began = time.perf_counter()
            decoder.fit(pairs.train, pairs.validation)
            notes = {"seconds_to_fit": round(time.perf_counter() - began, 1), "n_test": len(test)}
            history = getattr(decoder, "history", None)
            notes |= {} if history is None else history.updates()
            found = measure(decoder, pairs.test)
            ledger.add(Entry(row, seed, name, found["averaged"], found["single_trial"], notes))
            means = " / ".join(f"{100 * np.mean(values):.1f}" for values in found.values())
            print(f"{row}, seed {seed}, {name}: {means} %, {notes}", flush=True)


def main() -> int:
    """Read the command line, do what it says, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["ship", "curve"])
    parser.add_argument("--sessions", nargs="+", default=["demo"], metavar="SESSION[:VARIANT]")
    parser.add_argument("--recording", type=Path, metavar="FILE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 50, 100, 200])
    parser.add_argument("--fresh", type=int, default=600, help="images to test on")
    parser.add_argument("--tower", type=Path, default=SHIPPED, help="written by ship, read by curve")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings of ship")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs") / "pretraining.jsonl")
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    if words.action == "ship":
        ship(words.tower, words.set)
        return 0
    ledger = Ledger(words.out)
    for word in words.sessions if words.recording is None else [words.recording.stem]:
        for seed in words.seeds:
            curve(word, seed, words.sizes, words.fresh, words.recording, words.tower, ledger)
        for n in words.sizes:
            print("\n".join(["", *table(ledger.entries, f"{word}, {n} images", TRAINED[0]), ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
