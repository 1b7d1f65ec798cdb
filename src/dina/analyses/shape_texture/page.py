"""Whether shape or texture carries the decoding, on the page."""

import xarray as xr

from dina.analyses.shape_texture.drawing import draw_shape_texture
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.words import interval, percent
from dina.statistics.finding import Finding

WORDS = {
    "phase_only": "phases only",
    "silhouette": "silhouette",
    "contours": "contours",
    "amplitude_only": "amplitudes only",
    "texture": "texture",
    "local_texture": "texture in place",
}


def shape_texture_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show what each alteration keeps, beside examples, and the outcome of cue conflict."""
    found = {finding.name: finding for finding in findings}
    n = int(dataset.attrs["n_images"])
    names = [str(name) for name in dataset["alteration"].to_numpy()]
    conflict, difference = found["phase_over_amplitude"], found["shape_minus_texture"]
    rows = [
        (
            WORDS[name],
            *_cells(found[f"kept_{name}"]),
            *_cells(found[f"kept_{name}_beyond_contrast"])[:2],
            *_cells(found[f"kept_{name}_response_from_image"])[:2],
        )
        for name in names
    ]
    table = Table(
        "Share of the top-1 accuracy above chance that altered images keep, and the part of it that contrast alone does not give.",
        (
            "kept",
            "share",
            "95\u202f% interval",
            "null",
            "beyond contrast",
            "95\u202f% interval",
            "as query",
            "95\u202f% interval",
        ),
        tuple(rows),
    )
    spoken = ", ".join(f"{WORDS[name]} {percent(found[f'kept_{name}'].value)}" for name in names)
    part = FigurePart(
        "shape_texture",
        draw_shape_texture(dataset, WORDS),
        f"Share of the accuracy above chance that is left when {n} test images are altered. Filled: altered images as gallery for the"
        " responses; hollow: altered images as queries for the response. Bars: 95\u202f% intervals over images; grey: 95\u202f% of the"
        " same with queries assigned to other images; orange: altered images of other images with the contrast of the right ones;"
        f" dotted: originals. Here {dataset.attrs['texture']}. All altered images have mean and RMS contrast of their originals.",
        f"Altered images keep of the accuracy above chance: {spoken}.",
        table,
    )
    return Section(
        "shape-texture",
        "Shape and texture",
        paragraphs=(
            "Responses are those to the original images; none to altered ones were recorded, in simulated sessions neither. The towers"
            " were fitted on originals, so that an alteration may also fail because it looks like nothing they know.",
            f"In conflict, own phases with another's amplitudes win against the reverse for {percent(conflict.value)} of the queries"
            f" ({interval(conflict.low, conflict.high)}; {interval(conflict.null_low, conflict.null_high)} where there is no preference)."
            f" Alterations that keep shape keep {_points(difference)} more of the accuracy than those that keep texture.",
        ),
        figures=(part,),
    )


def _points(one: Finding) -> str:
    ends = interval(one.low, one.high).replace("\u202f%", "")
    return f"{percent(one.value).replace('%', 'points')} ({ends})"


def _cells(one: Finding) -> tuple[str, str, str]:
    return percent(one.value), interval(one.low, one.high), interval(one.null_low, one.null_high)
