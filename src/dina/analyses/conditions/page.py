"""How decoding depends on the stimulus set, on the page."""

import numpy as np
import xarray as xr

from dina.analyses.conditions.drawing import draw_conditions
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.words import DASH, interval, percent
from dina.statistics.finding import Finding


def conditions_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show accuracy within each condition, from the first to the others, and the ideal observer beside them."""
    found = {finding.name: finding for finding in findings}
    names = [str(name) for name in dataset["condition"].to_numpy()]
    first, caveat = names[0], str(dataset.attrs["caveat"])
    before, after = (dataset[f"signal_{when}"].to_numpy() for when in ("before", "after"))
    rows = []
    for place, name in enumerate(names):
        several = (f"top1_within_{name}", f"top1_{first}_to_{name}", f"transfer_loss_{name}", f"ideal_top1_{name}")
        rows.append((name, *(_words(found.get(key)) for key in several), f"{percent(before[place])} → {percent(after[place])}"))
    table = Table(
        "Top-1 accuracy by condition (95\u202f% intervals over images); the loss is within minus transferred, paired over images.",
        (
            "condition",
            "within",
            f"trained on {first}",
            "loss by transfer",
            "ideal observer",
            "signal variance, as recorded → matched",
        ),
        tuple(rows),
    )
    has_same = dataset["has_same_neurons"].to_numpy().astype(bool)
    is_same = bool(has_same.all())
    whose = "the same" if is_same else "each time"
    n, n_train, n_neurons = (int(dataset.attrs[key]) for key in ("n_images", "n_train", "n_neurons"))
    warned = f" {caveat}." if caveat else ""
    part = FigurePart(
        "conditions",
        draw_conditions(dataset),
        f"Top-1 accuracy among {n} test images under each stimulus condition; averaged responses as queries, {whose} {n_neurons:,}"
        f" neurons, {n_train:,} training identities and numbers of repeats for all. Filled: towers fitted within the condition; hollow:"
        f" towers fitted on {first} images. Bars: 95\u202f% intervals over images; grey: 95\u202f% of the same with queries assigned to"
        f" other images.{warned}",
        "Top-1 accuracy within each condition: "
        + ", ".join(f"{name} {percent(found[f'top1_within_{name}'].value)}" for name in names)
        + ".",
        table,
    )
    return Section(
        "conditions",
        "Stimulus conditions",
        paragraphs=(
            f"Identities, repeats and {'neurons' if is_same else 'number of neurons'} are the same for all conditions."
            f" {_matching(bool(np.isfinite(before).all()))}",
            *dict.fromkeys(found[f"transfer_loss_{name}"].reason for name, same in zip(names, has_same, strict=True) if not same),
            *((f"{caveat}; a high accuracy there says little about images in general.",) if caveat else ()),
        ),
        figures=(part,),
    )


def _matching(is_matched: bool) -> str:
    if is_matched:
        return "Noise was added to all recordings but the poorest, so that the neurons' mean signal variance fraction is that of the poorest."
    return "Signal variance could not be estimated for want of repeats, and was not matched."


def _words(one: Finding | None) -> str:
    return DASH if one is None else f"{percent(one.value)}\n({interval(one.low, one.high)})"
