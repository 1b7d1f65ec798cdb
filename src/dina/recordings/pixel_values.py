"""What the numbers of pixels mean: the grey level and the scale that make contrast of them."""

import numpy as np
from jaxtyping import Shaped

from dina.checks import DataError


def settle_grey(
    pixels: Shaped[np.ndarray, "..."], source: str, mid_grey: float | None, contrast_scale: float | None, where: str
) -> tuple[float, float]:
    """Return grey level and scale of contrast, ``(pixel - grey) / scale``: those stated, or 128 and 64 for 8-bit pixels.

    ``source`` and ``where`` say in the message whose pixels they are and where to state both.

    Raises
    ------
    DataError
        If they are not stated and pixels are not 8-bit, or reach no further than 1.
    """
    low, high = float(pixels.min()), float(pixels.max())
    if (mid_grey is None or contrast_scale is None) and (pixels.dtype != np.uint8 or high <= 1):
        raise DataError(
            f"Pixels of {source} are {pixels.dtype} from {low:.4g} to {high:.4g}, and only for 8-bit pixels up to 255 is grey known"
            f" to be 128. State both under {where}, for example {_likely_grey(low, high)}."
        )
    return 128.0 if mid_grey is None else mid_grey, 64.0 if contrast_scale is None else contrast_scale


def _likely_grey(low: float, high: float) -> str:
    """Propose grey and scale: half and a quarter of 1, of 256, or of the next power of two; for signed pixels 0 and a power of two."""
    if low < 0 and np.isfinite(low) and np.isfinite(high):
        return f"mid_grey = 0 and contrast_scale = {2.0 ** np.round(np.log2(max(-low, high) / 2)):g}"
    top = 1.0 if high <= 1 else max(256.0, 2.0 ** np.ceil(np.log2(high))) if np.isfinite(high) else 256.0
    return f"mid_grey = {top / 2:g} and contrast_scale = {top / 4:g}"
