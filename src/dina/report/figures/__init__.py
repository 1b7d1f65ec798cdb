"""Figures of a decoding report: each function takes numbers and returns a matplotlib Figure; nothing is computed or written."""

from dina.report.figures.accuracy import draw_accuracy, draw_directions
from dina.report.figures.comparisons import draw_differences
from dina.report.figures.gallery_size import draw_gallery_size
from dina.report.figures.quality import draw_histogram, draw_repeats, draw_spectrum
from dina.report.figures.ranks import draw_ranks
from dina.report.figures.training import draw_training

__all__ = [
    "draw_accuracy",
    "draw_differences",
    "draw_directions",
    "draw_gallery_size",
    "draw_histogram",
    "draw_ranks",
    "draw_repeats",
    "draw_spectrum",
    "draw_training",
]
