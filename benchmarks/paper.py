"""Train the published towers until they no longer learn: as published, with the settings of `attention`, and with those between.

``python benchmarks/paper.py --sessions demo --seeds 0`` trains preset `paper`, then `paper` with each cause of failure removed alone;
preset `attention`, then `attention` with each cause put back alone; and, beside them, ``ridge``, `scratch` and `default`. Training
ends after ``--updates``, or when validation log rank has not improved for ``--patience`` updates. All are tested on 600 fresh images
in random galleries of 50. ``--only published attention`` trains some of the rows. A stopped command goes on from its last checkpoint,
and what is in the ledger (``--out``) is not done again; its notes hold the learning curves.
"""

import argparse
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fresh_images import open_session, run
from image_ledger import Entry, Ledger, measure, table

from dina.data.response_transform import transform_in
from dina.models.transform_choice import choose_transform
from dina.study.prepared_recordings import SplitPairs
from dina.training.dina_decoder import DinaDecoder
from dina.training.presets import PRESETS
from dina.training.presets.attention import AttentionSettings
from dina.training.presets.paper import PaperSettings

BESIDE = ("default", "ridge", "scratch")
PUBLISHED, MENDED = PaperSettings(), AttentionSettings()


@dataclass(frozen=True)
class Row:
    """One training: towers of a preset with some settings; the preset decides whether responses are transformed."""

    name: str
    preset: str
    settings: PaperSettings


# Cause of failure → settings that differ between the two presets; of ``fit``, rates and decay of both optimisers.
CAUSES: dict[str, tuple[str, ...]] = {
    "scaling": ("response_scaling",),
    "read-out not normalised": ("is_readout_normalised",),
    "min-max maps": ("centring",),
    "fixed temperature": ("temperature", "is_temperature_learnt"),
    "second stage": ("image_stage",),
    "one map channel": ("map_channels",),
    "no dropout": ("dropout",),
    "slow optimisers": ("fit",),
}
# Changes that the best combination does not have; tried on the published recipe alone.
FURTHER: dict[str, dict[str, Any]] = {
    "pathways exchanged as released": {"residual_cross_attention": False},
    "backbone frozen": {"is_backbone_trained": False},
    "short read-out": {"readout_widths": (256,)},
}


def _changed(base: PaperSettings, other: PaperSettings, cause: str) -> PaperSettings:
    """Return settings in which those of one cause are taken from the other preset."""
    taken = {name: getattr(other, name) for name in CAUSES[cause] if name != "fit"}
    if "fit" in CAUSES[cause]:
        taken["fit"] = base.fit.model_copy(update={"image": other.fit.image, "neural": other.fit.neural})
    return base.model_copy(update=taken)


def list_rows() -> list[Row]:
    """Return every training: the published model, each cause removed; preset `attention`, each cause put back."""
    as_published = AttentionSettings(**PUBLISHED.model_dump())  # with responses transformed, as the other preset has them
    raw = PaperSettings(**MENDED.model_dump())
    rows = [Row("published", "paper", PUBLISHED), Row("published, transformed", "attention", as_published)]
    rows += [Row(f"published, not: {cause}", "paper", _changed(PUBLISHED, MENDED, cause)) for cause in CAUSES]
    rows += [Row(f"published, {name}", "paper", PUBLISHED.model_copy(update=change)) for name, change in FURTHER.items()]
    rows += [Row("attention", "attention", MENDED), Row("attention, raw", "paper", raw)]
    return rows + [Row(f"attention, {cause}", "attention", _changed(MENDED, PUBLISHED, cause)) for cause in CAUSES]


def train(row: Row, word: str, seed: int, words: argparse.Namespace, ledger: Ledger) -> None:
    """Train one row to its plateau, test it, and write it down."""
    recording, parts = open_session(word, seed, words.fresh)
    units = PRESETS[row.preset].units
    pairs = SplitPairs.of(recording, *parts, transform_in(units, choose_transform(recording, parts[0]).transform))
    per_epoch = -(-pairs.train.n_stimuli // row.settings.fit.batch_size)
    length = {"n_epochs": -(-words.updates // per_epoch), "patience": -(-words.patience // per_epoch)}
    fit = row.settings.fit.model_copy(update={**length, "select_by": "log_rank", "precision": words.precision})
    folder = words.out.parent / "checkpoints" / f"{word}_{seed}_{row.name}".replace(" ", "_").replace(":", "_").replace(",", "")
    folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    decoder = DinaDecoder(row.preset, row.settings.model_copy(update={"fit": fit}), seed, words.device, folder)
    decoder.fit(pairs.train, pairs.validation)
    assert decoder.history is not None  # fitted
    history = decoder.history
    notes = {
        "updates": history.n_epochs_done * per_epoch,
        "best_update": history.best_epoch * per_epoch,
        "stopped": history.stop_reason,
        "seconds": round(time.perf_counter() - began, 1),
        "curve": [
            [r.epoch * per_epoch, r.train_loss, r.validation_loss, r.validation_top1, r.validation_log_rank] for r in history.rows
        ],
    }
    found = measure(decoder, pairs.test)
    ledger.add(Entry(word, seed, row.name, found["averaged"], found["single_trial"], notes))
    shutil.rmtree(folder)
    means = " / ".join(f"{100 * np.mean(values):.1f}" for values in found.values())
    print(
        f"{word} seed {seed} {row.name}: {means} %, best after {notes['best_update']} of {notes['updates']} updates", flush=True
    )


def curves(ledger: Ledger, word: str) -> list[str]:
    """Return a table of how far each training came."""
    lines = [
        "| row | seed | best of updates | validation top-1, % | validation log rank | minutes |",
        "|---|---|---|---|---|---|",
    ]
    for one in ledger.entries:
        if one.session == word and "curve" in one.notes:
            best = next(point for point in one.notes["curve"] if point[0] == one.notes["best_update"])
            reached = f"{one.notes['best_update']} of {one.notes['updates']} | {100 * best[3]:.1f} | {best[4]:.2f}"
            lines.append(f"| {one.decoder} | {one.seed} | {reached} | {one.notes['seconds'] / 60:.0f} |")
    return lines


def main() -> int:
    """Read the command line, train what the ledger lacks, print the tables, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", nargs="+", default=["demo"], metavar="SESSION", help="demo, benchmark:500_neurons …")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", nargs="+", choices=[row.name for row in list_rows()], metavar="ROW", help="some rows")
    parser.add_argument("--updates", type=int, default=2000)
    parser.add_argument("--patience", type=int, default=500, help="updates without a better log rank")
    parser.add_argument("--fresh", type=int, default=600, help="images to test on")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs") / "paper.jsonl")
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    ledger = Ledger(words.out)
    for word in words.sessions:
        for seed in words.seeds:
            run(word, seed, list(BESIDE), "", words.fresh, ledger)
            for row in list_rows():
                if (not words.only or row.name in words.only) and not ledger.has(word, seed, row.name):
                    train(row, word, seed, words, ledger)
        print("\n".join(["", *table(ledger.entries, word, "attention"), "", *curves(ledger, word), ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
