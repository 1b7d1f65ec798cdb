"""One bootstrap and one null for all galleries of the same images, and the shares of accuracy that galleries keep."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from jaxtyping import Float, Int

from dina.randomness import generator_for
from dina.shapes import Scores
from dina.statistics.imagined_image import ImaginedImage
from dina.statistics.intervals import null_range
from dina.statistics.resampling import WELL_DEFINED, central_range, resample_counts

NULL = "queries assigned to other images at random"
EXCHANGED = "the two exchanged at random, image by image"
WIDER = "the two exchanged at random, image by image, or queries assigned to other images, whichever is wider"
NOTHING_READ = "The unaltered gallery is searched no better than chance, so that no share of its accuracy can be given."

Variables = dict[str, tuple[str, np.ndarray, dict[str, str]]]
Ends = tuple[float, float] | None


@dataclass(frozen=True, eq=False)
class PairedResampling:
    """One set of resamples and permutations of the images, used for every gallery, so that differences are paired.

    ``counts`` says how often each image was drawn in each bootstrap resample, ``imagined`` which image that nobody saw joins it,
    ``permutations`` which image each query is assigned to, and ``signs`` (±1) whether the members of a pair are exchanged.
    """

    counts: Int[np.ndarray, "resample image"]
    permutations: Int[np.ndarray, "resample image"]
    signs: Int[np.ndarray, "resample image"]
    imagined: ImaginedImage

    @classmethod
    def draw(cls, n_images: int, n_resamples: int, seed: int) -> Self:
        """Draw everything from one seed."""
        counts = resample_counts(n_images, n_resamples, generator_for(seed, "bootstrap"))
        rows = np.broadcast_to(np.arange(n_images), (n_resamples, n_images))
        permutations = generator_for(seed, "permutation").permuted(rows, axis=1)
        signs = generator_for(seed, "exchange").choice(np.array([-1, 1]), size=(n_resamples, n_images))
        imagined = ImaginedImage.draw(n_images, n_resamples, generator_for(seed, "imagined image"))
        return cls(counts, permutations, signs, imagined)

    @property
    def n_resamples(self) -> int:
        """Number of resamples, and of permutations."""
        return len(self.counts)

    @property
    def of_whole(self) -> Self:
        """The same, for the whole of which other galleries keep a share: the imagined image is right there where it is wrong in these.

        Otherwise a gallery in which the same images are found as in the whole would keep all of it in every resample.
        """
        return replace(self, imagined=self.imagined.opposite)

    def over_tables(
        self, tables: Float[np.ndarray, "place image candidate"], ends: Ends = (0.0, 1.0)
    ) -> Float[np.ndarray, "row place"]:
        """Return the mean of the diagonal of each table: for all images, in every resample, then in every permutation.

        Row 0 is the value, then come ``n_resamples`` resamples, then as many permutations, in which queries are assigned
        to other images, the same ones at every place. A statistic computed from all rows has a value, an interval and a
        null by the same formula; `dina.statistics.finding.Finding.from_rows` reads them. ``ends`` are the worst and the best
        answer of an image, of which one is imagined in every resample; None for scores, which have no ends.
        """
        diagonal = np.diagonal(tables, axis1=1, axis2=2)
        queries = np.arange(self.counts.shape[1])
        permuted = np.stack([table[queries, self.permutations].mean(axis=1) for table in tables], axis=1)
        return np.concatenate([diagonal.mean(axis=1)[None], self._bootstrap(diagonal, ends), permuted])

    def over_differences(
        self, differences: Float[np.ndarray, "place image"], ends: Ends = (-1.0, 1.0)
    ) -> Float[np.ndarray, "row place"]:
        """Return the mean paired difference in the same rows; in the last ones members of pairs are exchanged."""
        exchanged = self.signs @ differences.T / self.signs.shape[1]
        return np.concatenate([differences.mean(axis=1)[None], self._bootstrap(differences, ends), exchanged])

    def over_difference_tables(self, tables: Float[np.ndarray, "place image candidate"]) -> Float[np.ndarray, "row place"]:
        """Return the mean of the diagonal of tables of differences in the same rows; the last ones are the wider of two nulls.

        Two decoders that are equally good can be exchanged image by image. Two that find nothing cannot: one that gives all
        candidates the same score has one n-th on every image, another is mostly wrong and seldom right. There queries are assigned
        to other images.
        """
        elsewhere = self.over_tables(tables, (-1.0, 1.0))
        exchanged = self.over_differences(np.diagonal(tables, axis1=1, axis2=2))
        first_of_null = 1 + self.n_resamples
        is_wider = elsewhere[first_of_null:].std(axis=0) > exchanged[first_of_null:].std(axis=0)
        return np.where(is_wider, elsewhere, exchanged)

    def _bootstrap(self, values: np.ndarray, ends: Ends) -> np.ndarray:
        means = np.asarray(self.counts @ values.T / self.counts.shape[1])
        return means if ends is None else self.imagined.join(means, *ends)


def curve_variables(name: str, axis: str, rows: Float[np.ndarray, "row place"], meaning: str) -> Variables:
    """Return the variables of a dataset for a dimensionless curve along one axis, with ``meaning`` as ``long_name``.

    The interval is ``<name>_low`` and ``<name>_high``, the null ``<name>_null_low`` and ``<name>_null_high``. The rows
    are those of `PairedResampling`.
    """
    resamples, null_draws = np.split(rows[1:], 2)
    interval = np.array([central_range(column, WELL_DEFINED) for column in resamples.T])
    null = np.array([null_range(column) for column in null_draws.T])
    parts = {"": rows[0], "_low": interval[:, 0], "_high": interval[:, 1], "_null_low": null[:, 0], "_null_high": null[:, 1]}
    return {name + end: (axis, values, {"units": "1", "long_name": meaning}) for end, values in parts.items()}


def kept(
    accuracy: Float[np.ndarray, "row place"], full: Float[np.ndarray, "row"], n_images: int
) -> Float[np.ndarray, "row place"]:
    """Return the share of the unaltered gallery's accuracy above chance (``1 / n_images``) that other galleries keep.

    Top-1 accuracies of other galleries, and of the unaltered one (``full``), in the rows of `PairedResampling.over_tables`.

    Examples
    --------
    >>> full = np.array([0.6, 0.35, 0.1])
    >>> kept(np.array([[0.35], [0.35], [0.2]]), full, 10).round(2).ravel().tolist()
    [0.5, 1.0, 0.2]
    """
    return share_of(accuracy - 1 / n_images, full - 1 / n_images)


def share_of(above: Float[np.ndarray, "row place"], whole: Float[np.ndarray, "row"]) -> Float[np.ndarray, "row place"]:
    """Divide what galleries find beyond some floor by what the unaltered gallery (``whole``) finds beyond it.

    Rows under the null are divided by the value of the whole: only the numerator has a null. The share is NaN in rows in
    which the unaltered gallery finds nothing beyond the floor. It is NaN everywhere if the whole does not lie above its own null:
    shares of an accuracy that is above chance by luck lie above chance too, since they are of the same queries.
    """
    first_of_null = 1 + (len(whole) - 1) // 2
    if not whole[0] > null_range(whole[first_of_null:], fewest=1)[1]:
        return np.full(above.shape, np.nan)
    whole = np.where(np.arange(len(whole)) < first_of_null, whole, whole[0])
    shares: np.ndarray = above / np.where(whole > 1e-12, whole, np.nan)[:, None]
    return shares


def score_margins(scores: Scores) -> Float[np.ndarray, "image candidate"]:
    """Return how far each candidate's score lies above the mean of the other candidates of the same query.

    Examples
    --------
    >>> score_margins(np.array([[3.0, 1.0, 2.0]])).tolist()
    [[1.5, -1.5, 0.0]]
    """
    table = np.asarray(scores, dtype=np.float64)
    n = table.shape[1]
    centred: np.ndarray = (table - table.mean(axis=1, keepdims=True)) * n / (n - 1)
    return centred
