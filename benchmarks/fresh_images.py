"""Measure decoders on many fresh images of simulated sessions: small gains cannot be seen on the usual fifty.

``python benchmarks/fresh_images.py demo benchmark:semantic --seeds 0 1 --decoders default ridge ideal_observer`` simulates each
session with 600 further images, fits each decoder on the usual number of images for training and validation, and prints its top-1
accuracy in random galleries of 50 fresh images, beside the ideal observer and paired with the first decoder. Fits are kept in
``runs/fresh_images.jsonl`` (``--out``): a seed that is there is not done again, and others can be added. ``--label before`` marks
the decoders of another state of the code.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from image_ledger import Entry, Ledger, decoding_rows, measure, table

from dina.data.response_transform import transform_in
from dina.figures.canvas import svg_of
from dina.models.transform_choice import choose_transform
from dina.randomness import generator_for
from dina.recordings.recording import Recording
from dina.recordings.simulator import simulate
from dina.recordings.simulator.session_settings import NAMED_SESSIONS
from dina.report.accuracy import draw_accuracy
from dina.retrieval.decoder import Decoder
from dina.rivals import RIVALS
from dina.study.prepared_recordings import SplitPairs
from dina.training.dina_decoder import DinaDecoder
from dina.training.presets import PRESETS

VARIANTS: dict[str, dict[str, object]] = {
    "": {},
    "semantic": {"semantic_fraction": 0.5},
    "random_network": {"family": "random_network"},
    "500_neurons": {"n_neurons": 500},
}
VALIDATION = 0.1  # of the images that the session usually has; as many are usually tested
IDEAL = "ideal_observer"


def open_session(word: str, seed: int, n_fresh: int) -> tuple[Recording, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Simulate a session such as ``demo:semantic`` with further images; return it and the images of each part."""
    session, _, variant = word.partition(":")
    usual = NAMED_SESSIONS[session].n_stimuli
    n_validation = round(VALIDATION * usual)
    n_train = usual - 2 * n_validation
    n = n_train + n_validation + n_fresh
    recording = simulate(session, seed, settings={"n_stimuli": n, **VARIANTS[variant]})
    order = generator_for(seed, "fresh images").permutation(n)
    parts = np.split(order, [n_train, n_train + n_validation])
    return recording, (np.sort(parts[0]), np.sort(parts[1]), np.sort(parts[2]))


def build(name: str, seed: int, recording: Recording) -> Decoder:
    """Return the decoder of a row of rivals, or of a preset with its own settings."""
    return RIVALS[name].build(seed, recording.truth) if name in RIVALS else DinaDecoder(name, None, seed)


def shown(name: str, label: str) -> str:
    """Return the name of a decoder in the table."""
    return f"{name}@{label}" if label and name in PRESETS else name


def run(word: str, seed: int, names: list[str], label: str, n_fresh: int, ledger: Ledger) -> None:
    """Fit and measure the decoders that the ledger lacks."""
    missing = [name for name in names if not ledger.has(word, seed, shown(name, label))]
    if not missing:
        return
    recording, parts = open_session(word, seed, n_fresh)
    chosen = choose_transform(recording, parts[0]).transform
    for name in missing:
        began = time.perf_counter()
        units = RIVALS[name].units if name in RIVALS else PRESETS[name].units
        pairs = SplitPairs.of(recording, *parts, transform_in(units, chosen))
        decoder = build(name, seed, recording)
        decoder.fit(pairs.train, pairs.validation)
        fitted = time.perf_counter()
        found = measure(decoder, pairs.test)
        notes = {"seconds_to_fit": round(fitted - began, 1), "seconds_to_score": round(time.perf_counter() - fitted, 1)}
        notes |= {
            "n_train": len(parts[0]),
            "n_fresh": n_fresh,
            "transform": pairs.train.standardiser.transform.name,
            "chosen": dict(getattr(decoder, "chosen", {})),
        }
        ledger.add(Entry(word, seed, shown(name, label), found["averaged"], found["single_trial"], notes))
        means = " / ".join(f"{100 * np.mean(values):.1f}" for values in found.values())
        print(f"{word} seed {seed} {shown(name, label)}: {means} %, {notes['seconds_to_fit']} s", flush=True)


def main() -> int:
    """Read the command line, measure what is missing, print the tables, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sessions", nargs="+", metavar="SESSION[:VARIANT]", help=f"variants: {', '.join(filter(None, VARIANTS))}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--decoders", nargs="+", choices=[*PRESETS, *RIVALS], default=["default", IDEAL, f"{IDEAL}_transformed"])
    parser.add_argument("--fresh", type=int, default=600, help="images to test on")
    parser.add_argument("--label", default="", help="added to the names of presets")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs") / "fresh_images.jsonl")
    parser.add_argument("--figure", type=Path, help="draw the first session into this SVG file")
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    ledger = Ledger(words.out)
    for word in words.sessions:
        for seed in words.seeds:
            run(word, seed, words.decoders, words.label, words.fresh, ledger)
        print("\n".join(["", *table(ledger.entries, word, shown(words.decoders[0], words.label), IDEAL), ""]))
    if words.figure:
        rows = decoding_rows(ledger.entries, words.sessions[0], shown(words.decoders[0], words.label))
        reads = {row.decoder: RIVALS[row.decoder].reads if row.decoder in RIVALS else "images" for row in rows}
        words.figure.write_text(svg_of(draw_accuracy(rows, reads), "accuracy"), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
