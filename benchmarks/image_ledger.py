"""Keep what each image adds to a decoder's accuracy, one line of JSON for each fit, and compare decoders with intervals over images."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dina.data.pairs import QUERY_KINDS, Pairs, make_task
from dina.retrieval.decoder import Decoder
from dina.retrieval.evaluate import DecodingRow
from dina.retrieval.gallery_size import accuracy_by_image
from dina.statistics.resampling import percentile_interval, resample_counts

GALLERY = 50
N_RESAMPLES = 2000


@dataclass(frozen=True)
class Entry:
    """One decoder on one session and seed: what each test image adds to the accuracy in random galleries of 50, both kinds of query.

    ``notes`` are its choices and times.
    """

    session: str
    seed: int
    decoder: str
    averaged: list[float]
    single_trial: list[float]
    notes: dict[str, Any]


def measure(decoder: Decoder, test: Pairs) -> dict[str, list[float]]:
    """Score the test images by averages and by single trials."""
    found = {}
    for kind in QUERY_KINDS:
        task = make_task(test, kind)
        by_image = accuracy_by_image(decoder.score(task.queries, task.gallery), task.target, GALLERY)
        found[kind] = [round(float(value), 6) for value in by_image]
    return found


class Ledger:
    """A file of entries; a fit that is in it need not be done again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        self.entries = [Entry(**json.loads(line)) for line in lines]

    def has(self, session: str, seed: int, decoder: str) -> bool:
        """Return whether this fit is done."""
        return any((one.session, one.seed, one.decoder) == (session, seed, decoder) for one in self.entries)

    def add(self, entry: Entry) -> None:
        """Write one more line."""
        self.entries.append(entry)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(entry), default=str) + "\n")


def table(entries: Sequence[Entry], session: str, main: str, ideal: str | None = None) -> list[str]:
    """Compare the decoders of a session on the seeds that all of them have.

    Accuracy is the mean over seeds. Intervals resample images within each seed, the same for all decoders; they say nothing about
    other seeds. ``main`` is the decoder that others are subtracted from, ``ideal`` the one that all are divided by; a row that is
    missing leaves a dash.
    """
    here = [one for one in entries if one.session == session]
    names = list(dict.fromkeys(one.decoder for one in here))
    seeds = sorted(set.intersection(*({one.seed for one in here if one.decoder == name} for name in names)))
    ratio = "" if ideal is None else f" ÷ {ideal}, averaged | single trial |"
    head = f"| decoder | averaged, % | single trial, % |{ratio} {main} − it, averaged | single trial |"
    lines = [f"**{session}**, seeds {', '.join(map(str, seeds))}", "", head, "|" + "---|" * (head.count("|") - 1)]
    if not seeds:
        return [*lines, "| no seed has all decoders |"]
    draws = {name: _draws(here, name, seeds) for name in names}
    for name in names:
        cells = [_cell(100 * draws[name][kind], 1) for kind in QUERY_KINDS]
        if ideal is not None:
            cells += [_cell(draws[name][k] / draws[ideal][k], 3) if ideal in draws else "–" for k in QUERY_KINDS]
        is_compared = main in draws and name != main
        cells += [_cell(100 * (draws[main][k] - draws[name][k]), 1, "+") if is_compared else "–" for k in QUERY_KINDS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def decoding_rows(entries: Sequence[Entry], session: str, main: str) -> list[DecodingRow]:
    """Return accuracies and intervals as `table` does, as rows of a figure; ``main`` is shown as dina."""
    here = [one for one in entries if one.session == session]
    names = list(dict.fromkeys(one.decoder for one in here))
    seeds = sorted(set.intersection(*({one.seed for one in here if one.decoder == name} for name in names)))
    rows = []
    for name in names:
        for kind, draws in _draws(here, name, seeds).items():
            low, high = percentile_interval(draws[1:])
            shown = "dina" if name == main else name
            row = DecodingRow(shown, "", kind, "image_from_response", GALLERY, chance_top1=1 / GALLERY)
            rows.append(replace(row, top1=float(draws[0]), top1_low=float(low), top1_high=float(high)))
    return rows


def _draws(entries: Sequence[Entry], name: str, seeds: Sequence[int]) -> dict[str, np.ndarray]:
    """Return the mean over seeds, itself first, then of every resample; a seed draws the same images for all decoders."""
    result: dict[str, np.ndarray] = {}
    for kind in QUERY_KINDS:
        means = []
        for seed in seeds:
            values = np.array(next(getattr(one, kind) for one in entries if (one.decoder, one.seed) == (name, seed)))
            counts = resample_counts(len(values), N_RESAMPLES, np.random.default_rng(seed))
            means.append(np.concatenate([[values.mean()], counts @ values / len(values)]))
        result[kind] = np.mean(means, axis=0)
    return result


def _cell(draws: np.ndarray, digits: int, sign: str = "") -> str:
    if np.isnan(draws[0]):  # single trials of averages
        return "–"
    low, high = percentile_interval(draws[1:])
    return f"{draws[0]:{sign}.{digits}f} [{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"
