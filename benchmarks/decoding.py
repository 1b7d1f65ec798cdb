"""Decode sessions over several seeds with dina and all rivals, and print the table and figure of the README from the runs.

Run ``python benchmarks/decoding.py --sessions benchmark --seeds 100 101 102 --out DIR`` to carry the studies out (what is finished in
DIR is read, what is unfinished goes on), or ``--from RUN RUN …`` to read finished runs only. A session is the name of a simulation,
whose seed also makes the session, or the path of a recording, whose seed makes the split. ``--null`` pairs images and responses at
random, all trials of an image together; every decoder that reads images must then be at chance.
"""

import argparse
import itertools
import json
import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dina.report.figures import draw_accuracy
from scipy.stats import binom

from dina.checks import DataError
from dina.cli.sessions import open_recording
from dina.figures.canvas import svg_of
from dina.figures.style import style_of
from dina.randomness import generator_for
from dina.recordings.recording import Recording
from dina.retrieval.evaluate import DecodingRow
from dina.statistics.resampling import percentile_interval, resample_counts
from dina.study import read_settings, run_study
from dina.study.run_directory import Run, read_run
from dina.study.unfinished_run import safe_name

QUERIES = ("averaged", "single_trial")
NULL_DECODERS = ("dina", "ridge", "encoding_global", "encoding_local")  # the others do not read images
LEVEL = 0.01  # of the null check, over all its tests together
N_RESAMPLES, FEW_SEEDS = 10_000, 5


def mean_and_interval(values: Sequence[float], own: tuple[float | None, float | None]) -> dict[str, Any]:
    """Average over seeds, with a bootstrap interval over seeds; a single seed keeps the interval of its own table."""
    found = np.array(values, dtype=float)
    low, high = own
    if len(found) > 1:
        counts = resample_counts(len(found), N_RESAMPLES, generator_for(0, "seeds"))
        low, high = percentile_interval(counts @ found / len(found))
    return {"mean": float(found.mean()), "low": low, "high": high, "per_seed": found.tolist()}


def accuracy(runs: Sequence[Run], decoder: str, queries: str) -> dict[str, Any] | None:
    """Return top-1 accuracy with its interval, gallery, chance and ratio to the ideal observer; None if any run lacks it."""
    known = [row for run in runs for row in run.select(queries) if row.decoder == decoder and row.top1 is not None]
    if len(known) < len(runs):
        return None
    result = mean_and_interval([row.top1 or 0.0 for row in known], (known[0].top1_low, known[0].top1_high))
    ideal = [row.top1 for run in runs for row in run.select(queries) if row.decoder == "ideal_observer" and row.top1]
    return result | {
        "n_gallery": sorted({row.n_gallery for row in known if row.n_gallery}),
        "chance": float(np.mean([row.chance_top1 or np.nan for row in known])),
        "p_value": [row.p_value for row in known],
        "ratio_to_ideal": result["mean"] / float(np.mean(ideal)) if len(ideal) == len(runs) else None,
    }


def difference(runs: Sequence[Run], rival: str, queries: str) -> dict[str, Any] | None:
    """Return the paired difference of top-1, dina minus rival; None for dina itself and where queries are not the same."""
    if any(run.comparisons is None or rival not in run.comparisons["rival"].to_numpy() for run in runs):
        return None
    cells = [run.comparisons.sel(rival=rival, queries=queries) for run in runs if run.comparisons is not None]
    values, low, high = ([float(cell[f"top1_{name}"]) for cell in cells] for name in ("difference", "low", "high"))
    return mean_and_interval(values, (low[0], high[0])) if np.isfinite(values).all() else None


def summarise(runs: Sequence[Run]) -> dict[str, Any]:
    """Put the numbers of all decoders over runs of one session side by side."""
    decoders, first = dict.fromkeys(row.decoder for run in runs for row in run.rows), runs[0].summary
    return {
        "runs": [run.path.name for run in runs],
        "dina_version": first["dina_version"],
        "recording": {key: first["recording"][key] for key in ("name", "n_neurons", "n_stimuli", "is_simulated")},
        "split": {key: first["split"][key] for key in ("n_train", "n_validation", "n_test")},
        "decoders": {
            name: {
                "reads": runs[0].reads(name),
                "top1": {queries: accuracy(runs, name, queries) for queries in QUERIES},
                "dina_minus_this": {queries: difference(runs, name, queries) for queries in QUERIES},
            }
            for name in decoders
        },
    }


def markdown(title: str, summary: dict[str, Any]) -> str:
    """Write the numbers of one session as a sentence and a table, in per cent."""
    recording, split, n_runs = summary["recording"], summary["split"], len(summary["runs"])
    chances = [v["chance"] for entry in summary["decoders"].values() for v in entry["top1"].values() if v]
    spread = "over seeds (bootstrap)" if n_runs > 1 else "over images"
    lines = [
        f"**{title}**: {recording['n_neurons']} neurons, {recording['n_stimuli']} images, {split['n_train']} to learn from;"
        f" {n_runs} seed{'s' * (n_runs > 1)}. Top-1 accuracy in %, with 95 % interval {spread};"
        f" chance {100 * min(chances, default=np.nan):.2f} %.",
        "",
        "| decoder | averaged | single trial | of the ideal observer | dina − it, averaged | dina − it, single trial | gallery |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, entry in summary["decoders"].items():
        top1, minus = ([entry[key][queries] for queries in QUERIES] for key in ("top1", "dina_minus_this"))
        ratios = [f"{100 * v['ratio_to_ideal']:.0f}" if v and v["ratio_to_ideal"] else "–" for v in top1]
        galleries = sorted({size for v in top1 if v for size in v["n_gallery"]})
        mark = {"templates": " †", "truth": " ‡"}.get(entry["reads"], "")
        words = style_of(name, entry["reads"]).label + mark
        cells = [f"**{words}**" if name == "dina" else words, *(_cell(v) for v in top1), " / ".join(ratios)]
        lines.append("| " + " | ".join([*cells, *(_cell(v, "+") for v in minus), ", ".join(map(str, galleries)) or "–"]) + " |")
    lines += ["", "† compares with responses to the very images of the gallery: a reference level. ‡ knows the simulation."]
    if 1 < n_runs < FEW_SEEDS:
        lines.append(f"With {n_runs} seeds an interval over seeds says little more than their range.")
    if not recording["is_simulated"] and n_runs > 1:
        lines.append("Seeds are splits of the same recording and share images: an interval over them is too narrow.")
    return "\n".join(lines)


def _cell(value: dict[str, Any] | None, sign: str = "") -> str:
    if value is None:
        return "–"
    interval = "" if value["low"] is None else f" [{100 * value['low']:{sign}.1f}, {100 * value['high']:{sign}.1f}]"
    return f"{100 * value['mean']:{sign}.1f}{interval}"


def draw(runs: Sequence[Run]) -> str:
    """Draw the accuracies of all decoders over some runs, as the report of one run does."""
    rows: list[DecodingRow] = []
    for row in (row for queries in QUERIES for row in runs[0].select(queries)):
        found = accuracy(runs, row.decoder, row.queries)
        numbers = (None, None, None) if found is None else (found["mean"], found["low"], found["high"])
        rows.append(replace(row, top1=numbers[0], top1_low=numbers[1], top1_high=numbers[2]))
    return svg_of(draw_accuracy(rows, {row.decoder: runs[0].reads(row.decoder) for row in rows}), "accuracy")


def check_null(runs: Sequence[Run]) -> tuple[str, bool]:
    """Test every decoder that reads images against the binomial interval of chance, Bonferroni over all tests."""
    tests = []
    for name in dict.fromkeys(row.decoder for run in runs for row in run.rows if run.reads(row.decoder) == "images"):
        tests += [(name, queries, found) for queries in QUERIES if (found := accuracy(runs, name, queries)) is not None]
    n_images, lines, passed = sum(run.summary["split"]["n_test"] for run in runs), [], bool(tests)
    for name, queries, found in tests:
        # n counts images, not trials: trials of one image are not independent
        low, high = (float(edge) / n_images for edge in binom.interval(1 - LEVEL / len(tests), n_images, found["chance"]))
        inside = low <= found["mean"] <= high
        passed &= inside
        words = f"{100 * found['mean']:.2f} %, chance interval [{100 * low:.2f}, {100 * high:.2f}] %"
        lines.append(f"{name}, {queries}: {words}: {'at chance' if inside else 'NOT AT CHANCE'}")
    return "\n".join(lines), passed


def mispair(recording: Recording, seed: int) -> Recording:
    """Give the responses to each image another image at random, to all its trials the same."""
    order = generator_for(seed, "null").permutation(len(recording.images))
    labels = None if recording.labels is None else recording.labels[order]
    return replace(recording, name=f"{recording.name}-null", images=recording.images[order], labels=labels, truth=None)


def carry_out(words: argparse.Namespace) -> list[Path]:
    """Carry out the studies asked for, each in a folder of its own below ``--out``."""
    paths = []
    for session, preset, seed in itertools.product(words.sessions, words.presets, words.seeds):
        chosen = [f'preset="{preset}"', f"seed={seed}", *words.set]
        settings = read_settings(None, [*chosen, *([f"decoders={json.dumps(NULL_DECODERS)}"] if words.null else [])])
        recording = open_recording(session, None, seed)
        recording = mispair(recording, seed) if words.null else recording
        paths.append(words.out / safe_name(f"{Path(session).stem}-{preset}-seed{seed}{'-null' * words.null}"))
        run_study(recording, settings, paths[-1], device=words.device, n_threads=words.threads)
    return paths


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", nargs="+", default=["benchmark"], help="simulations by name, recordings by path")
    parser.add_argument("--seeds", nargs="+", type=int, default=[100, 101, 102])
    parser.add_argument("--presets", nargs="+", default=["default"])
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings as `dina study --set` takes them")
    parser.add_argument("--out", type=Path, default=Path("runs") / "benchmark")
    parser.add_argument("--from", nargs="+", type=Path, dest="finished", metavar="RUN", help="read these and compute nothing")
    parser.add_argument("--figure", type=Path, help="write the figure of the first session to this SVG file")
    parser.add_argument("--json", type=Path, help="write the numbers here instead of after the tables")
    parser.add_argument("--null", action="store_true", help="pair images and responses at random")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    words = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    groups: dict[str, list[Run]] = {}
    for run in map(read_run, words.finished or carry_out(words)):
        preset = next((row.preset for row in run.rows if row.decoder == "dina"), "")
        title = re.sub(r"-seed\d+", "", run.summary["recording"]["name"]) + f", {preset}"
        groups.setdefault(title, []).append(run)
        if len({one.summary["split"]["sha256"] + one.summary["recording"]["sha256"] for one in groups[title]}) < len(
            groups[title]
        ):
            raise DataError(f"Runs must be of different seeds; {run.path} repeats another one's split. Leave one out.")
    summaries = {title: summarise(runs) for title, runs in groups.items()}
    print("\n\n".join(markdown(title, summary) for title, summary in summaries.items()))
    text = json.dumps(summaries, indent=1, ensure_ascii=False) + "\n"
    print(f"\n```json\n{text}```" if words.json is None else f"\nNumbers: {words.json}")
    if words.json:
        words.json.write_text(text, encoding="utf-8")
    if words.figure:
        words.figure.parent.mkdir(parents=True, exist_ok=True)
        words.figure.write_text(draw(next(iter(groups.values()))), encoding="utf-8")
    checks = [check_null(runs) for runs in groups.values()] if words.null else []
    print("".join(f"\n{lines}\n" for lines, _ in checks), end="")
    return 0 if all(passed for _, passed in checks) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except DataError as error:
        sys.exit(str(error))
