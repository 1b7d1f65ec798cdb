"""A layout of figures in which no label is longer than its axes, and counts have ticks at whole numbers."""

import re
import textwrap

from matplotlib.axis import Axis, XAxis
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import AutoLocator, MaxNLocator

# Labels of axes that count something.
COUNTED = re.compile(r"(number of|neurons|images|trials|recordings?|epoch|attend\w+ neuron)\b(?!.*%)", re.DOTALL)


class FittingLayout(ConstrainedLayoutEngine):
    """A constrained layout that breaks labels longer than their axes into lines, and keeps counts at whole numbers."""

    def execute(self, fig: Figure) -> None:
        """Lay a figure out, and again for as long as labels had to be broken or lie outside, up to three times."""
        every_axis = [axis for axes in fig.axes if axes.axison for axis in (axes.xaxis, axes.yaxis)]
        for axis in every_axis:
            if COUNTED.match(axis.label.get_text()) and isinstance(axis.get_major_locator(), AutoLocator):
                axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
        super().execute(fig)
        for _ in range(3):  # a label of two lines takes room from the axes, so that another may become too long
            if not any([_fit_label(axis) or _is_outside(axis, fig) for axis in every_axis]):
                break
            super().execute(fig)


def _fit_label(axis: Axis) -> bool:
    """Give the label of an axis a further line, or smaller letters where it is one word, if it is longer than the axis; say whether."""
    label, which = axis.label, "width" if isinstance(axis, XAxis) else "height"
    length, room = (getattr(box, which) for box in (label.get_window_extent(), axis.axes.get_window_extent()))
    if not label.get_text() or length <= room:
        return False
    words = balanced_lines(label.get_text(), label.get_text().count("\n") + 2)
    if max(map(len, words.split("\n"))) < max(map(len, label.get_text().split("\n"))):
        label.set_text(words)
    else:
        label.set_fontsize(max(5.0, label.get_fontsize() * room / length))
    return True


def _is_outside(axis: Axis, figure: Figure) -> bool:
    """Say whether the label of an axis lies partly outside of the figure, as low axes can leave it after one layout."""
    box, whole = axis.label.get_window_extent(), figure.bbox
    return bool(axis.label.get_text() and (min(box.x0, box.y0) < 0 or box.x1 > whole.x1 or box.y1 > whole.y1))


def balanced_lines(words: str, n_lines: int) -> str:
    r"""Break words into at most so many lines, the longest of which is as short as can be.

    Examples
    --------
    >>> balanced_lines("training images (units of the score)", 2)
    'training images\n(units of the score)'
    """
    whole = words.replace("\n", " ")
    for width in range(max(map(len, whole.split(" "))), len(whole) + 1):
        lines = textwrap.wrap(whole, width, break_long_words=False, break_on_hyphens=False)
        if len(lines) <= n_lines:
            return "\n".join(lines)
    return whole
