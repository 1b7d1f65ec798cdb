"""One more image in every resample of answers, so that intervals are honest where all are right, or none."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True, eq=False)
class ImaginedImage:
    r"""One more image in every resample, right at best or wrong at worst, so that no resampled mean of answers stays the same.

    Resamples of answers that are all right are all right, too: their interval has no width, although the next image may be
    missed. Here an image that nobody saw joins every resample. In half of the resamples its answer is the best that is possible,
    in the other half the worst. Its weight is that of one of n + 1 images in a Bayesian bootstrap.

    Parameters
    ----------
    weight
        Of the imagined image, in [0, 1]; that of all seen images together is the rest.
    is_best
        Whether its answer is the best.

    Notes
    -----
    A weight has the distribution Beta(1, n). The upper end of an interval is therefore about the limit of Clopper & Pearson,
    which is a quantile of Beta(k + 1, n - k) for k right answers of n: of none, :math:`1 - 0.05^{1/n}`. Means of answers that are
    neither right nor wrong as a whole are treated as by Gaffke. A paired difference gets one image for either decoder, as in the
    interval of Agresti & Min.

    References
    ----------
    Clopper & Pearson (1934), Biometrika 26:404. https://doi.org/10.1093/biomet/26.4.404

    Gaffke (2005), Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative variable,
    Math. Methods Stat. 14:451.

    Agresti & Min (2005), Stat. Med. 24:729. https://doi.org/10.1002/sim.1781
    """

    weight: Float[np.ndarray, "resample"]
    is_best: Bool[np.ndarray, "resample"]

    @classmethod
    def draw(cls, n_images: int, n_resamples: int, generator: np.random.Generator) -> Self:
        """Draw the weights; every other resample has the best answer."""
        return cls(generator.beta(1, n_images, size=n_resamples), np.arange(n_resamples) % 2 == 1)

    @property
    def opposite(self) -> Self:
        """The same image with the other answer: of the whole, where shares of the whole are computed."""
        return replace(self, is_best=~self.is_best)

    def join(
        self, means: Float[np.ndarray, "resample *place"], worst: float, best: float
    ) -> Float[np.ndarray, "resample *place"]:
        """Return resampled means with the imagined image, whose answer is ``worst`` or ``best``, in the unit of the means.

        Examples
        --------
        Of no right answer among fifty images, one in seventeen may be right:

        >>> from dina.statistics.resampling import percentile_interval
        >>> joined = ImaginedImage.draw(50, 4000, np.random.default_rng(0)).join(np.zeros(4000), 0.0, 1.0)
        >>> low, high = percentile_interval(joined)
        >>> low, round(high, 2)
        (0.0, 0.06)
        """
        shape = (-1, *(1,) * (means.ndim - 1))
        weight, answer = self.weight.reshape(shape), np.where(self.is_best, best, worst).reshape(shape)
        joined: np.ndarray = means + weight * (answer - means)
        return joined
