"""The figures of the gallery: the figure that a block of an example ends with, as a notebook would show it."""

from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst


def scrape(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save the figure that is the last expression of a block of code and return the reStructuredText that shows it."""
    names = block_vars["example_globals"]
    shown = names.get("___")
    if not isinstance(shown, Figure):
        return ""
    names["___"] = None  # so that a block without a figure does not repeat it
    path = next(block_vars["image_path_iterator"])
    shown.savefig(path, dpi=160, facecolor="white", bbox_inches="tight")
    return str(figure_rst([path], gallery_conf["src_dir"], alt_text(shown)))


def alt_text(figure: Figure) -> str:
    """Say for readers who cannot see a figure what its axes show."""
    labels = [label for axes in figure.axes for label in (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) if label]
    return "Figure: " + ", ".join(dict.fromkeys(" ".join(label.split()) for label in labels)) if labels else "Figure"
