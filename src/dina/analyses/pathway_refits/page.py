"""How well towers decode that were fitted with one pathway alone, on the page."""

import xarray as xr
from matplotlib.figure import Figure

from dina.figures.canvas import in_style, new_figure
from dina.figures.finding_dots import draw_dots
from dina.figures.finding_table import finding_table
from dina.figures.parts import FigurePart, Section
from dina.figures.words import percent
from dina.statistics.finding import Finding


@in_style
def _draw(rows: list[tuple[str, Finding]]) -> Figure:
    figure = new_figure(120, 16 + 7 * len(rows))
    draw_dots(figure.add_subplot(), rows, "top-1 accuracy (fraction of queries)")
    return figure


def pathway_refits_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show the accuracy of towers with all pathways and with each alone."""
    found = {finding.name: finding for finding in findings}
    names = [str(name) for name in dataset["pathways"].to_numpy()]
    words = {"top1_all": "all pathways"} | {f"top1_{name}_alone": f"{name} alone" for name in names[1:]}
    losses = {f"top1_loss_{name}_alone": f"lost with {name} alone" for name in names[1:]}
    told = "Top-1 accuracy of towers fitted with " + "; ".join(
        f"{words[name]}: {percent(found[name].value)}" for name in words if name in found
    )

    part = FigurePart(
        "pathway_refits",
        _draw([(text, found[name]) for name, text in (words | losses).items()]),
        f"Accuracy of towers fitted anew with one pathway of the image tower alone, and what is lost against all, paired over"
        f" {dataset.sizes['query']} test images; averaged responses as queries. Bars: 95\u202f% intervals over images; grey: 95\u202f%"
        " of the same with queries assigned to other images, for losses with the two fits exchanged image by image.",
        told + ".",
        finding_table("Towers fitted with one pathway alone.", words | losses, found),
    )
    return Section("pathway-refits", "Each pathway fitted alone", paragraphs=(told + ".",), figures=(part,))
