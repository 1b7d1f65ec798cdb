"""Whether shape or texture suffices for towers fitted on altered images, on the page."""

import xarray as xr

from dina.analyses.shape_texture.drawing import draw_shape_texture_refit
from dina.analyses.shape_texture.page import WORDS
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.words import interval, percent
from dina.statistics.finding import Finding


def shape_texture_refit_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show what towers fitted on altered images keep of the accuracy."""
    found = {finding.name: finding for finding in findings}
    names = [str(name) for name in dataset["alteration"].to_numpy()]
    kept = [(WORDS[name], found[f"refit_kept_{name}"]) for name in names]
    table = Table(
        "Share of the top-1 accuracy above chance that towers fitted and tested on altered images keep.",
        ("kept", "share", "95\u202f% interval", "null"),
        tuple((words, percent(f.value), interval(f.low, f.high), interval(f.null_low, f.null_high)) for words, f in kept),
    )
    told = "Towers fitted on altered images keep: " + ", ".join(f"{words} {percent(f.value)}" for words, f in kept) + "."
    part = FigurePart(
        "shape_texture_refit",
        draw_shape_texture_refit(dataset, WORDS),
        "Share of the accuracy above chance that towers keep which were fitted, and tested on"
        f" {int(dataset.attrs['n_images'])} images, altered alike. Bars: 95\u202f% intervals over images; grey: 95\u202f% of the same with"
        f" queries assigned to other images; dotted: originals. Here {dataset.attrs['texture']}.",
        told,
        table,
    )
    return Section(
        "shape-texture-refit",
        "Towers fitted on shape or texture",
        paragraphs=(
            "Here nothing is unlike what the towers were taught; what is missing is what the responses, which are those to the"
            " original images, do not tell about what an altered image still shows.",
        ),
        figures=(part,),
    )
