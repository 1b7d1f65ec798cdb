"""Try decoders on sessions of another make with every transform of the responses, to see whether the chosen one is as good as the best.

``python benchmarks/other_sessions.py --seeds 0`` makes each session of `made_elsewhere`, fits ``ridge``, the preset ``default`` with
the transform that it chooses, and the same preset with every transform by name, and prints top-1 accuracy in random galleries of 50
of 300 test images. The row "best fixed" is the transform that did best on the test images: nobody could have chosen it, and its
accuracy is too high by the choice. Fits are kept in ``runs/other_sessions.jsonl`` (``--out``); a seed that is there is not done again.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from image_ledger import Entry, Ledger, measure, table
from made_elsewhere import MAKES, make_session

from dina.checks import DataError
from dina.models.transform_choice import TransformName, choose_transform
from dina.rivals import RIVALS
from dina.study.prepared_recordings import SplitPairs
from dina.training.dina_decoder import DinaDecoder

FIXED = tuple(name for name in get_args(TransformName) if name != "chosen")
BEST = "best fixed (found on the test images)"


def run(session: str, seed: int, rivals: list[str], fixed: list[str], ledger: Ledger) -> None:
    """Fit and measure what the ledger lacks of a session."""
    rows = [(name, "chosen") for name in ("default", *rivals)] + [("default", name) for name in fixed]
    missing = [row for row in rows if not ledger.has(session, seed, _name(*row))]
    if not missing:
        return
    recording, parts = make_session(session, seed)
    for decoder_name, transform_name in missing:
        began = time.perf_counter()
        try:
            transform = choose_transform(recording, parts[0], transform_name).transform
        except DataError as error:  # not every transform can be had from every recording, and none is chosen that cannot
            print(f"{session} seed {seed} {_name(decoder_name, transform_name)}: cannot be had. {error}", flush=True)
            continue
        pairs = SplitPairs.of(recording, *parts, transform)
        decoder = RIVALS[decoder_name].build(seed, None) if decoder_name in RIVALS else DinaDecoder(decoder_name, None, seed)
        decoder.fit(pairs.train, pairs.validation)
        found = measure(decoder, pairs.test)
        notes = {"transform": transform.name, "seconds": round(time.perf_counter() - began, 1)}
        name = _name(decoder_name, transform_name)
        ledger.add(Entry(session, seed, name, found["averaged"], found["single_trial"], notes))
        means = " / ".join(f"{100 * np.mean(values):.1f}" for values in found.values())
        print(f"{session} seed {seed} {name} ({transform.name}): {means} %, {notes['seconds']} s", flush=True)


def _name(decoder: str, transform: str) -> str:
    return decoder if transform == "chosen" else f"{decoder}, {transform}"


def with_best(entries: list[Entry], session: str) -> list[Entry]:
    """Add the fixed transform that is best on the test images of each seed, by both kinds of query together."""
    here = [one for one in entries if one.session == session]
    best = []
    for seed in sorted({one.seed for one in here}):
        fixed = [one for one in here if one.seed == seed and one.decoder.startswith("default, ")]
        if fixed:
            top = max(fixed, key=lambda one: np.mean(one.averaged) + np.mean(one.single_trial))
            best.append(replace(top, decoder=BEST))
    return here + best


def main() -> int:
    """Read the command line, measure what is missing, print the tables, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", nargs="+", choices=list(MAKES), default=list(MAKES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--rivals", nargs="+", choices=list(RIVALS), default=["ridge"])
    parser.add_argument("--transforms", nargs="*", choices=FIXED, default=list(FIXED), help="tried by name")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs") / "other_sessions.jsonl")
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    ledger = Ledger(words.out)
    for session in words.sessions:
        for seed in words.seeds:
            run(session, seed, words.rivals, words.transforms, ledger)
        chosen = [str(one.notes["transform"]) for one in ledger.entries if (one.session, one.decoder) == (session, "default")]
        print("\n".join(["", MAKES[session].words, f"chosen: {', '.join(chosen)}", ""]))
        print("\n".join([*table(with_best(ledger.entries, session), session, "default"), ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
