"""The spatial frequencies at which images of some size are cut, evenly spaced in octaves."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dina.analyses.image_filters import NYQUIST


@dataclass(frozen=True, eq=False)
class FrequencyGrid:
    """At which frequencies images are cut, cycles per pixel.

    Parameters
    ----------
    cutoffs
        Rising, evenly spaced in octaves, from one cycle along the shorter side to the Nyquist limit.
    edges
        Bounds of the octave bands, falling from half the Nyquist limit; the highest band holds all above the
        first, the lowest all below the last.
    """

    cutoffs: Float[np.ndarray, "cutoff"]
    edges: Float[np.ndarray, "edge"]

    @classmethod
    def of(cls, height: int, width: int, per_octave: int) -> "FrequencyGrid":
        """Choose the frequencies for images of this size.

        Examples
        --------
        >>> FrequencyGrid.of(8, 40, 1).cutoffs.tolist()
        [0.125, 0.25, 0.5]
        """
        octaves = np.log2(NYQUIST * min(height, width))
        steps = np.arange(int(np.floor(octaves * per_octave + 1e-9)), -1, -1)
        edges = NYQUIST * 2.0 ** -np.arange(1, max(2, int(np.floor(octaves + 1e-9)) + 1))
        return cls(NYQUIST * 2.0 ** (-steps / per_octave), edges)

    @property
    def ends(self) -> Float[np.ndarray, "cutoff_and_all"]:
        """The cut-offs, then the corner of the frequency plane, where nothing is removed."""
        return np.append(self.cutoffs, NYQUIST * np.sqrt(2.0))

    @property
    def band_centres(self) -> Float[np.ndarray, "band"]:
        """The middle of each octave band, rising; the lowest is taken to be an octave wide."""
        return np.append(np.sqrt(2.0) * self.edges[0], self.edges / np.sqrt(2.0))[::-1]
