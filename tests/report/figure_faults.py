"""What can be wrong with any figure: labels longer than their axes, words outside, ticks between counts."""

from matplotlib.figure import Figure

SLACK = 0.02  # of an inch or of a length, for rounding


def faults_of(figure: Figure) -> list[str]:
    """Name the faults of a figure that was drawn before, for example by `svg_of`; none is well."""
    found = []
    for axes in figure.axes:
        for axis, which in ((axes.xaxis, "width"), (axes.yaxis, "height")):
            label, room = axis.label, getattr(axes.get_window_extent(), which)
            if axes.axison and label.get_text() and getattr(label.get_window_extent(), which) > (1 + SLACK) * room:
                found.append(f"longer than its axes: {label.get_text()!r}")
            if label.get_text().startswith(("neurons", "images", "trials", "epoch")) and "%" not in label.get_text():
                low, high = sorted(axis.get_view_interval())
                places = [place for place in axis.get_majorticklocs() if low <= place <= high and place % 1]
                found += [f"between counts of {label.get_text()}: {place}" for place in places]
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    if min(box.x0, box.y0, width - box.x1, height - box.y1) < -SLACK:
        found.append(f"outside of a figure of {width:.2f} by {height:.2f}: {box.extents.round(2).tolist()}")
    return found
