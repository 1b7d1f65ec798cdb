"""The six matrices by which neurons gate and read one another, as maps of asking by asked neurons."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from dina.figures.canvas import in_style, new_figure
from dina.figures.style import COLOURS
from dina.statistics.finding import Finding

TITLES = {
    "P": "P  both respond",
    "Q": "Q  asking responds",
    "R": "R  asked responds",
    "T": "T  no response",
    "G": "G  read, response",
    "H": "H  read, constant",
}
CUT = 99  # percentile of the size of weights at which colours end


@in_style
def draw_attention_interactions(dataset: xr.Dataset, found: Mapping[str, Finding]) -> Figure:
    """Draw the matrices, the most attended neuron first, each in colours of its own; titles tell the asymmetry.

    Parameters
    ----------
    dataset
        ``P``, ``Q``, ``R``, ``T``, ``G``, ``H`` (asking, asked).
    found
        Findings by name.
    """
    colours = LinearSegmentedColormap.from_list("signed", [COLOURS["rival"][0], COLOURS["paper"][0], COLOURS["dina"][0]])
    figure = new_figure(180, 116)
    panels = figure.subplots(2, 3)
    n_shown = dataset.sizes["asking"]
    for axes, (name, words) in zip(panels.flat, TITLES.items(), strict=True):
        matrix = dataset[name].to_numpy()
        most = float(np.percentile(np.abs(matrix), CUT)) or 1.0
        norm = Normalize(-most, most)
        axes.imshow(matrix, cmap=colours, norm=norm, aspect="auto", interpolation="nearest",
                    extent=(0.5, n_shown + 0.5, n_shown + 0.5, 0.5))  # fmt: skip
        figure.colorbar(ScalarMappable(norm, colours), ax=axes, pad=0.03, extend="both", label="weight")
        axes.set_title(words, fontsize=8.5)
        one = found.get(f"asymmetry_{name}")
        if one is not None and np.isfinite(one.value):
            axes.set_xlabel(f"asked neuron\nasymmetry {one.value:.2f}")
        else:
            axes.set_xlabel("asked neuron")
        axes.set_ylabel("asking neuron")
    return figure
