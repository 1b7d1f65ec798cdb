"""The page of conditions: how decoding depends on the stimulus set, within conditions, between them, and for the ideal observer."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.caption_words import SAME_GALLERY, responses_words
from dina.figures.finding_words import finding_columns, in_a_sentence
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import COLOURS
from dina.figures.words import DASH, interval, percent
from dina.statistics.finding import Finding


def conditions_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show accuracy within each condition, from the first to the others, and the ideal observer beside them."""
    found = {finding.name: finding for finding in findings}
    names = [str(name) for name in dataset["condition"].to_numpy()]
    first, caveat = names[0], str(dataset.attrs["caveat"])
    has_same = dataset["has_same_neurons"].to_numpy().astype(bool)
    whose = "the same" if has_same.all() else "each time"
    n, n_train, n_neurons = (int(dataset.attrs[key]) for key in ("n_images", "n_train", "n_neurons"))
    part = FigurePart(
        "conditions",
        _draw_conditions(dataset),
        f"Top-1 accuracy among {n} test images under each stimulus condition; {responses_words(dataset)} as queries, {whose} {n_neurons:,}"
        f" neurons, {n_train:,} training identities and repeats in all conditions. Filled: towers fitted within the condition; hollow:"
        f" towers fitted on {first} images{'; triangles: the ideal observer' if 'ideal' in dataset else ''}. Bars: 95\u202f% intervals over images; grey: central 95\u202f% if queries are assigned to"
        f" other images. {SAME_GALLERY}",
        "Top-1 accuracy within each condition: "
        + ", ".join(f"{name} {percent(found[f'top1_within_{name}'].value)}" for name in names)
        + ".",
        _table(dataset, found),
    )
    matching = (
        "Noise was added to all recordings except the poorest. All then have the mean signal variance fraction of the poorest."
        if np.isfinite(dataset["signal_before"].to_numpy()).all()
        else "Without repeats, signal variance could not be estimated and was not matched."
    )
    equal = "neurons" if has_same.all() else "number of neurons"
    n_dropped = int(dataset.attrs["n_dropped"])
    without = (
        f" Test images left out because they look like training images under one condition: {n_dropped}." if n_dropped else ""
    )
    paragraphs = [_answer(names, found), f"Identities, repeats and {equal} are the same for all conditions. {matching}{without}"]
    paragraphs += dict.fromkeys(found[f"transfer_loss_{name}"].reason for name in np.array(names)[~has_same])
    if caveat:
        paragraphs.append(f"{caveat}; a high accuracy there says little about images in general.")
    return Section("conditions", "Stimulus conditions", paragraphs, (part,))


def _answer(names: list[str], found: dict[str, Finding]) -> str:
    """Say how well towers decode within each condition, how far this is from the first, and what transfer costs."""
    first, others = names[0], names[1:]
    rows = {name: found[f"top1_within_{name}"] for name in names}
    within = ", ".join(f"{name} {percent(one.value)} ({interval(one.low, one.high)})" for name, one in rows.items())
    chance = percent(max(one.null_high for one in rows.values()))
    change = ", ".join(f"{name} {in_a_sentence(found[f'within_minus_{first}_{name}'], 'points')}" for name in others)
    losses = {name: found[f"transfer_loss_{name}"] for name in others}
    moved = ", ".join(f"{name} {in_a_sentence(one, 'points')}" for name, one in losses.items() if np.isfinite(one.value))
    lost = f" Accuracy lost by towers that were fitted on {first} images: {moved}." if moved else ""
    return f"Top-1 accuracy of towers fitted within each condition: {within}; chance: up to {chance}. Minus that of {first}: {change}.{lost}"


def _table(dataset: xr.Dataset, found: dict[str, Finding]) -> Table:
    names = [str(name) for name in dataset["condition"].to_numpy()]
    first = names[0]
    before, after = (dataset[f"signal_{when}"].to_numpy() for when in ("before", "after"))
    rows = []
    for place, name in enumerate(names):
        several = [f"top1_within_{name}", f"within_minus_{first}_{name}", f"top1_{first}_to_{name}", f"transfer_loss_{name}"]
        several += [f"ideal_top1_{name}"] if "ideal" in dataset else []
        rows.append((name, *(_words(found.get(key)) for key in several), f"{percent(before[place])} → {percent(after[place])}"))
    columns = ["condition", "within", f"within, minus {first}", f"trained on {first}", "loss by transfer"]
    columns += ["ideal observer"] if "ideal" in dataset else []
    return Table(
        "Top-1 accuracy by condition, with 95\u202f% interval over images and chance: the central 95\u202f% if queries are assigned to"
        " other images; of differences the null, the wider of this and of the two exchanged image by image. The loss is within minus transferred. Differences are paired over images.",
        (*columns, "signal variance, as recorded → matched"),
        tuple(rows),
    )


def _words(one: Finding | None) -> str:
    if one is None:
        return DASH
    is_difference = one.name.startswith(("transfer_loss", "within_minus"))
    value, between, chance = finding_columns(one, "points" if is_difference else "%")
    return DASH if value == DASH else f"{value}\n({between})\n({'null' if is_difference else 'chance'} {chance})"


@in_style
def _draw_conditions(dataset: xr.Dataset) -> Figure:
    """Draw top-1 accuracy by condition, side by side for each kind of decoder."""
    names = [str(name) for name in dataset["condition"].to_numpy()]
    place = np.arange(len(names), dtype=float)
    figure = new_figure(130, 78)
    axes = figure.add_subplot()
    low, high = (100 * dataset[f"within_null_{end}"].to_numpy() for end in ("low", "high"))
    axes.bar(place, high - low, bottom=low, width=0.8, color=COLOURS["chance"][0], alpha=0.3, linewidth=0, zorder=1)
    blue, purple = COLOURS["dina"][0], COLOURS["reference"][0]
    shown = [("within", -0.2, blue, blue, "o", "trained and tested within")]
    if dataset["has_same_neurons"].to_numpy()[1:].any():
        shown.append(("transferred", 0.0, blue, COLOURS["paper"][0], "o", f"trained on {names[0]}"))
    if "ideal" in dataset:
        shown.append(("ideal", 0.2, purple, purple, "v", "ideal observer"))
    for name, shift, colour, face, marker, label in shown:
        value, low, high = (100 * dataset[name + end].to_numpy() for end in ("", "_low", "_high"))
        if name == "transferred":
            value[0] = low[0] = high[0] = np.nan  # within the first condition nothing was transferred
        axes.vlines(place + shift, low, high, color=colour, linewidth=1.2, zorder=2)
        axes.plot(place + shift, value, marker, color=colour, markerfacecolor=face, markersize=5, label=label, zorder=3)
    axes.set_xticks(place, names)
    axes.set(xlim=(-0.6, len(names) - 0.4), ylim=(0, 105), xlabel="stimulus condition", ylabel="top-1 accuracy (% of queries)")
    figure.legend(loc="outside upper center", ncols=len(shown), fontsize=7.5, handletextpad=0.2, columnspacing=1.5)
    finish_axes(axes, "y")
    axes.tick_params(axis="x", length=0)
    return figure
