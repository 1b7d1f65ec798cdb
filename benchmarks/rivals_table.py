"""Write the rows that ``rivals.py`` kept as one Markdown table for each session with the numbers beside it as JSON."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rivals_entries import UNFINISHED, Entry, Place, read_entries, read_json
from scipy.stats import false_discovery_control

from dina.artifacts import write_json, write_text
from dina.data.pairs import QUERY_KINDS
from dina.randomness import generator_for
from dina.retrieval.hubness import measure_hubness
from dina.retrieval.ranks import Retrieval, retrieve
from dina.statistics.intervals import wilson_interval
from dina.statistics.p_values import permutation_p_value
from dina.statistics.resampling import percentile_interval, resample_counts

REFERENCE = "default"
HEADINGS = {
    "preset": "Presets",
    "joint_preset": "Recipes for several recordings, alone with this one",
    "baseline": "Rivals",
    "control": "Controls that have learnt nothing of images",
    "objective": "Objectives",
    "reference": "Reference levels",
}
FDR = 0.05
MOST_SHOWN = 8  # epochs of a learning curve
HUB_PLACES = 10
OLDER = " †"


def retrievals(entry: Entry, queries: str, n_seeds: int) -> list[Retrieval] | None:
    """Return where targets stand for each seed; None unless every seed has them."""
    scored = [scores.scored[queries] for scores in entry.scores if queries in scores.scored]  # type: ignore[index]
    if len(scored) < n_seeds or any(len(np.unique(one.target)) < 2 for one in scored):
        return None
    return [retrieve(one.scores, one.target, "image_from_response") for one in scored]


def accuracy(found: Sequence[Retrieval]) -> dict[str, float]:
    """Return top-1 accuracy averaged over seeds, Wilson's interval with n = test images of all seeds, chance and gallery."""
    top1 = float(np.mean([one.top(1).mean() for one in found]))
    low, high = wilson_interval(top1, sum(len(np.unique(one.image)) for one in found))
    chance = float(np.mean([1 / one.n_gallery for one in found]))
    return {"top1": top1, "low": low, "high": high, "chance": chance, "n_gallery": found[0].n_gallery}


def hubness(entry: Entry, queries: str) -> float:
    """Return how unevenly candidates crowd the ten best places (skewness of occurrences), averaged over seeds."""
    each = [scores.scored[queries].scores for scores in entry.scores]  # type: ignore[index]
    return float(np.mean([measure_hubness(one, min(HUB_PLACES, one.shape[1])) for one in each]))


def difference(own: Sequence[Retrieval], other: Sequence[Retrieval], n_resamples: int) -> dict[str, float] | None:
    """Return own minus other, paired by query and averaged over seeds: bootstrap over images within seeds, exchange of images."""
    resampled, null, observed = np.zeros(n_resamples), np.zeros(n_resamples), 0.0
    for seed, (one, two) in enumerate(zip(own, other, strict=True)):
        if one.n_gallery != two.n_gallery or not np.array_equal(one.image, two.image):
            return None
        images, cluster = np.unique(one.image, return_inverse=True)
        by_image = np.bincount(cluster, weights=one.top(1) - two.top(1))
        queries = np.bincount(cluster)
        counts = resample_counts(len(images), n_resamples, generator_for(seed, "rivals bootstrap"))
        signs = 1 - 2 * generator_for(seed, "rivals exchange").integers(2, size=(n_resamples, len(images)))
        observed += float(by_image.sum() / queries.sum()) / len(own)
        resampled += (counts @ by_image) / (counts @ queries) / len(own)
        null += (signs @ by_image) / queries.sum() / len(own)
    low, high = percentile_interval(resampled)
    p_value = permutation_p_value(abs(observed), np.abs(null), "large")
    return {"difference": observed, "low": low, "high": high, "p_value": p_value}


def numbers_of(entries: Sequence[Entry], n_seeds: int, n_resamples: int) -> list[dict[str, Any]]:
    """Put all numbers of a session together; q-values are over all rows that read images and both kinds of query."""
    found = {(e.name, e.kind, q): retrievals(e, q, n_seeds) for e in entries for q in QUERY_KINDS}
    table = []
    for entry in entries:
        row: dict[str, Any] = {"kind": entry.kind, "name": entry.name, "label": entry.label, "reads": entry.reads}
        row |= {"seconds": entry.seconds, "is_of_older_source": entry.is_older}
        row["fits"] = [dict(scores.chosen) for scores in entry.scores]
        row["learning_curve"] = entry.curve
        row["reason"] = _reason(entry)
        for queries in QUERY_KINDS:
            own, reference = found[entry.name, entry.kind, queries], found.get((REFERENCE, "preset", queries))
            row[queries] = None if own is None else {**accuracy(own), "hubness": hubness(entry, queries)}
            is_compared = own is not None and reference is not None and (entry.kind, entry.name) != ("preset", REFERENCE)
            minus = difference(own, reference, n_resamples) if is_compared else None  # type: ignore[arg-type]
            row[f"{queries}_minus_default"] = minus
        table.append(row)
    tested = [row[key] for row in table for key in _minus() if row["reads"] == "images" and row[key] is not None]
    if tested:
        for cell, q_value in zip(tested, false_discovery_control([cell["p_value"] for cell in tested]), strict=True):
            cell["q_value"] = float(q_value)
    return table


def _minus() -> list[str]:
    return [f"{queries}_minus_default" for queries in QUERY_KINDS]


def _reason(entry: Entry) -> str | None:
    reasons = [entry.reason] if entry.reason else [text for scores in entry.scores for text in scores.reason.values()]
    return " ".join(dict.fromkeys(reasons)) or None


def verdict(table: Sequence[dict[str, Any]], queries: str) -> str:
    """Say in words whether `default` is at the top among everything that reads images."""
    words = queries.replace("_", " ")
    own = next((row for row in table if (row["kind"], row["name"]) == ("preset", REFERENCE)), None)
    rivals = [row for row in table if row["reads"] == "images" and row[queries] is not None and row is not own]
    before = [row for row in rivals if row["name"] == f"{REFERENCE} before training"]
    rivals = [row for row in rivals if row not in before]
    controls = [row for row in rivals if row["kind"] == "control"]
    if own is None or own[queries] is None or len(rivals) == len(controls):
        return f"On {words} queries `{REFERENCE}` cannot be compared."
    rivals.sort(key=lambda row: -row[queries]["top1"])
    above = [row for row in rivals if row[queries]["top1"] > own[queries]["top1"]]
    if above:
        named = ", ".join(_compared(row, queries) for row in above)
        apart = [row for row in above if (cell := row[f"{queries}_minus_default"]) is not None and cell["q_value"] <= FDR]
        apart_words = (
            f"{len(apart)} of them significantly different from it at q ≤ {FDR}"
            if apart
            else f"none significantly different from it at q ≤ {FDR}"
        )
        return f"**On {words} queries `{REFERENCE}` is not at the top.** Above it, {apart_words}: {named}."
    level = [row for row in rivals if (cell := row[f"{queries}_minus_default"]) is not None and cell.get("q_value", 0) > FDR]
    near = (
        f" Not significantly different from it (q > {FDR}): {', '.join(_compared(row, queries) for row in level)}."
        if level
        else ""
    )
    following = "" if rivals[0] in level else f"; next is {_compared(rivals[0], queries)}"
    better = [row for row in before if row[queries]["top1"] > own[queries]["top1"]]
    start = f" Its own start is above it: {_compared(better[0], queries)}." if better else ""
    return (
        f"On {words} queries `{REFERENCE}` is at the top of {len(rivals) - len(controls) + 1} decoders that read images"
        f"{following}.{near}{start}"
    )


def _compared(row: dict[str, Any], queries: str) -> str:
    cell = row[f"{queries}_minus_default"]
    if cell is None:
        return f"{_name(row)} (not on the same queries)"
    return f"{_name(row)} ({REFERENCE} − it {_signed(cell)} points, q = {cell['q_value']:.2g})"


def _name(row: dict[str, Any]) -> str:
    """Return the name in code type, and behind it in plain words what it was given."""
    name, bracket, given = str(row["label"]).partition(" (")
    return f"`{name}`{bracket}{given}"


def _signed(cell: Mapping[str, float] | None) -> str:
    """Write `default` minus a row in points; the numbers on disk are the row minus `default`."""
    if cell is None:
        return "–"
    value, low, high = (f"{-100 * cell[end] + 0.0:+.1f}".replace("-", "−") for end in ("difference", "high", "low"))
    return f"{value} [{low}, {high}]"


def _plain(cell: Mapping[str, float] | None) -> str:
    return "–" if cell is None else f"{100 * cell['top1']:.1f} [{100 * cell['low']:.1f}, {100 * cell['high']:.1f}]"


def _epochs(row: dict[str, Any]) -> str:
    trained = [fit for fit in row["fits"] if "epochs_done" in fit]
    words = [f"{fit['chosen_epoch']} of {fit['epochs_done']}{', budget' * _is_last(fit)}" for fit in trained]
    return "; ".join(dict.fromkeys(words)) or "–"


def markdown(title: str, sessions: Sequence[dict[str, Any]], table: Sequence[dict[str, Any]]) -> str:
    """Write one session as sentences, a table and its remarks."""
    first, seeds = sessions[0], [one["seed"] for one in sessions]
    recording, split, machine = first["recording"], first["split"], first["environment"]
    total = [sum(row["seconds"][i] for row in table if len(row["seconds"]) > i) / 60 for i in range(len(seeds))]
    lines = [
        f"## {title}",
        "",
        f"{recording['n_neurons']} neurons, {recording['n_stimuli']} images, {split['n_train']} to learn from, {split['n_test']} to"
        f" test; seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}. All fits of one seed together took"
        f" {' and '.join(f'{minutes:.0f}' for minutes in total)} min ({machine['device']}, threads: {machine['n_threads']}).",
        "",
        *(f"- {verdict(table, queries)}" for queries in QUERY_KINDS),
        "",
        "| decoder | top-1, averaged | top-1, single trial | default − it, averaged | default − it, single trial | chance | gallery"
        " | fit, s | epoch kept |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for kind, heading in HEADINGS.items():
        rows = [row for row in table if row["kind"] == kind and row["reason"] != UNFINISHED]
        rows.sort(key=lambda row: -max((row[q] or {"top1": -1.0})["top1"] for q in QUERY_KINDS[:1]))
        lines += [f"| *{heading}* | | | | | | | | |"] if rows else []
        lines += [_line(row) for row in rows]
    return "\n".join([*lines, "", *_remarks(table, recording["is_simulated"], len(seeds))])


def _line(row: dict[str, Any]) -> str:
    judged = [row[queries] for queries in QUERY_KINDS]
    known = [cell for cell in judged if cell is not None]
    chance = " / ".join(dict.fromkeys(f"{100 * cell['chance']:.2f}" for cell in known)) or "–"
    gallery = " / ".join(dict.fromkeys(str(cell["n_gallery"]) for cell in known)) or "–"
    seconds = f"{np.mean(row['seconds']):.0f}" if row["seconds"] else "–"
    is_reference = (row["kind"], row["name"]) == ("preset", REFERENCE)  # "0" instead of its difference to itself
    name = (f"**{_name(row)}**" if is_reference else _name(row)) + OLDER * row["is_of_older_source"]
    minus = ["0" if is_reference and row[queries] else _signed(row[f"{queries}_minus_default"]) for queries in QUERY_KINDS]
    return "| " + " | ".join([name, *map(_plain, judged), *minus, chance, gallery, seconds, _epochs(row)]) + " |"


def _remarks(table: Sequence[dict[str, Any]], is_simulated: bool, n_seeds: int) -> list[str]:
    lines = []
    for row in table:
        for curve in row["learning_curve"][:1] if row["kind"] != "objective" else []:
            if len(curve) < 2:  # refused, or not trained
                continue
            shown = [curve[i] for i in sorted({round(x) for x in np.linspace(0, len(curve) - 1, MOST_SHOWN)})]
            points = ", ".join(
                f"{e['epoch']:.0f}: {100 * e['validation_top1']:.1f} % ({e['validation_loss']:.2f})" for e in shown
            )
            lines.append(f"- Learning curve of {_name(row)}, epoch: validation top-1 (loss): {points}.")
    budgets: dict[str, list[str]] = {}
    for row in table:
        epochs = sorted({int(fit["epochs_budget"]) for fit in row["fits"] if "epochs_budget" in fit})
        if epochs:
            budgets.setdefault(" and ".join(map(str, epochs)), []).append(_name(row))
    budget_words = "; ".join(f"{epochs} for {', '.join(names)}" for epochs, names in budgets.items())
    lines += [f"- Budgets in epochs: {budget_words}."] if budget_words else []
    if any(row["is_of_older_source"] for row in table):
        lines.append(f"-{OLDER} Fitted by other source of dina, or on other versions or threads, than the newest rows.")
    if not is_simulated and n_seeds > 1:
        lines.append("- Seeds are splits of the same recording and share images: intervals over them are too narrow.")
    return lines + _empty(table)


def _empty(table: Sequence[dict[str, Any]]) -> list[str]:
    """Say which rows are empty, or which columns of them, and why; rows of one reason together."""
    missing: dict[tuple[str, str], list[str]] = {}
    for row in table:
        if row["reason"]:
            without = [f"{queries.replace('_', '-')} columns" for queries in QUERY_KINDS if row[queries] is None]
            where = without[0] if len(without) == 1 else ""
            missing.setdefault((where, row["reason"]), []).append(_name(row))
    filled = [_name(row) for row in table if any(row[queries] is not None for queries in QUERY_KINDS)]
    return [
        f"- Left empty, {where + ' of ' if where else ''}{'all rows' if names == filled else ', '.join(names)}: {reason}"
        for (where, reason), names in missing.items()
    ]


def _is_last(fit: Mapping[str, Any]) -> bool:
    """Say whether the best epoch was the last that the budget allows, so that more would help."""
    return bool(fit["epochs_done"] and fit["chosen_epoch"] == fit["epochs_done"] == fit["epochs_budget"])


def write_table(
    folders: Mapping[str, Sequence[Path]],
    places: Sequence[Place],
    notes: Sequence[str],
    path: Path,
    n_resamples: int,
) -> None:
    """Write the Markdown file, and the numbers as JSON beside it, each whole or not at all."""
    texts, numbers = [], {}
    for word, some in folders.items():
        sessions = [read_json(folder / "session.json") for folder in some]
        title = str(sessions[0]["recording"]["name"]) if Path(word).exists() else word
        entries = read_entries(some, places)
        table = numbers_of(entries, len(some), n_resamples)
        texts.append(markdown(title, sessions, table))
        numbers[title] = {"sessions": sessions, "rows": table}
    head = f"""# Every rival, preset and objective

Written by `python benchmarks/rivals.py` from the same queries and galleries for all rows of a session and seed; the sources of the
rows, and where they deviate from them, are in [rivals](rivals.md) and [objectives](objectives.md). Accuracies are in %, the mean over
seeds with Wilson's 95 % interval (n = test images). Differences are `default` minus the row, paired by query, in points, with a bootstrap over images
within seeds; q-values are those of Benjamini and Hochberg over all rows that read images, of exchanging the two decoders image by image.
Objectives train the towers of `scratch`. Seconds are as measured, with the threads that are named; "budget" beside the epoch kept says
that it was the last, so that more would help. Reference levels read responses to the candidates, or know the simulation: they are no
rivals. {" ".join(notes)}
"""
    write_text(path, "\n\n".join([head.rstrip(), *texts]) + "\n")
    write_json(path.with_suffix(".json"), numbers)
