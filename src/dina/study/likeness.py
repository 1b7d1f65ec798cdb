"""Whether images are near-identical, or test images so like training images that accuracy tells neighbours apart, not new images."""

import numpy as np

from dina.data.splits import Split, likeness_to_nearest
from dina.shapes import Images

_TOO_LIKE = 0.95  # correlation of pixels: photographs of different scenes stay far below


def judge_twins(split: Split) -> str:
    """Say how many groups of near-identical images there are, or "" without any."""
    twins = int((np.bincount(split.group) > 1).sum())
    many = "groups of near-identical images were found; each" if twins > 1 else "group of near-identical images was found; it"
    return f"{twins} {many} was kept on one side of the split." if twins else ""


def judge_likeness(images: Images, split: Split) -> tuple[float, str]:
    """Return the correlation of the pixels of a test image with its nearest training image, median; and a warning, or ""."""
    median = float(np.median(likeness_to_nearest(images, split.test, split.train)))
    if median < _TOO_LIKE:
        return median, ""
    return median, (
        f"Test images are much like training images: pixels correlate {median:.3f} with the nearest one (median), as in frames of a"
        " film. Accuracy may then tell neighbours apart, not new images. Take fewer frames, or set split.in_blocks=true."
    )
