"""How often responses find their image in galleries of altered images, with one bootstrap and one null for all of them."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from jaxtyping import Float, Int

from dina.analyses.decoded import Decoded
from dina.data.pairs import Pairs
from dina.randomness import generator_for
from dina.retrieval.ranks import Direction
from dina.shapes import ContrastImages, Scores
from dina.statistics.resampling import resample_counts
from dina.training.aligned_towers import AlignedTowers


class TestQueries:
    """The averaged responses to some images, encoded once, to be asked of many galleries.

    Parameters
    ----------
    towers
        Fitted.
    pairs
        Of the images asked for; their averaged responses are the queries.
    chosen
        Which images of ``pairs``; all galleries hold as many, in this order.
    """

    __test__ = False  # it is no test, whatever pytest makes of its name

    def __init__(self, towers: AlignedTowers, pairs: Pairs, chosen: Int[np.ndarray, "image"]) -> None:
        self.towers = towers
        self.images = pairs.images[chosen]
        responses = torch.from_numpy(pairs.averaged()[chosen]).to(towers.device)
        self._presentations = torch.from_numpy(pairs.total_presentations()[chosen].astype(np.float32)).to(towers.device)
        with torch.inference_mode():
            self._maps = towers.eval().neural_tower(responses).float()
            self._evidence = towers.comparison.evidence(responses, self._presentations)

    @torch.inference_mode()
    def score(self, images: ContrastImages) -> Scores:
        """Return the score of each gallery image for each query, shape ``(n_queries, n_gallery)``."""
        gallery = torch.from_numpy(self.towers.encode_images(images)).to(self.towers.device)
        scores = self.towers.comparison(self._maps, gallery, self._presentations) - self._evidence[:, None]
        return np.asarray(scores.float().cpu().numpy())


def choose_test_images(decoded: Decoded, most: int, purpose: str) -> Int[np.ndarray, "image"]:
    """Choose at most so many test images at random, in order: what galleries cost grows with their number."""
    n = decoded.test.n_stimuli
    drawn = generator_for(decoded.seed, purpose).permutation(n)[: min(n, most)]
    return np.sort(drawn)


def first_places(scores: Scores, direction: Direction = "image_from_response") -> Float[np.ndarray, "image candidate"]:
    """Return for each image and candidate the chance that the candidate comes first, ties divided.

    Query i belongs to gallery image i; the diagonal is top-1 accuracy image by image. In the direction
    ``response_from_image`` the rows are gallery images asking and the columns responses.

    Examples
    --------
    >>> first_places(np.array([[2.0, 1.0], [3.0, 3.0]])).tolist()
    [[1.0, 0.0], [0.5, 0.5]]
    """
    table = scores if direction == "image_from_response" else scores.T
    is_best = table == table.max(axis=1, keepdims=True)
    shares: np.ndarray = is_best / is_best.sum(axis=1, keepdims=True)
    return shares


def margins(scores: Scores) -> Float[np.ndarray, "image candidate"]:
    """Return how far each candidate's score lies above the mean of the other candidates of the same query.

    Examples
    --------
    >>> margins(np.array([[3.0, 1.0, 2.0]])).tolist()
    [[1.5, -1.5, 0.0]]
    """
    table = np.asarray(scores, dtype=np.float64)
    n = table.shape[1]
    centred: np.ndarray = (table - table.mean(axis=1, keepdims=True)) * n / (n - 1)
    return centred


@dataclass(frozen=True, eq=False)
class PairedResampling:
    """One set of resamples and permutations of the images, used for every gallery, so that differences are paired.

    Parameters
    ----------
    counts
        How often each image was drawn in each bootstrap resample, shape ``(n_resamples, n_images)``.
    permutations
        The image that each query is assigned to in each permutation, shape ``(n_resamples, n_images)``.
    signs
        ±1 for each image: which members of a pair are exchanged, shape ``(n_resamples, n_images)``.
    """

    counts: Int[np.ndarray, "resample image"]
    permutations: Int[np.ndarray, "resample image"]
    signs: Int[np.ndarray, "resample image"]

    @classmethod
    def draw(cls, n_images: int, n_resamples: int, seed: int) -> Self:
        """Draw everything from one seed."""
        counts = resample_counts(n_images, n_resamples, generator_for(seed, "bootstrap"))
        rows = np.broadcast_to(np.arange(n_images), (n_resamples, n_images))
        permutations = generator_for(seed, "permutation").permuted(rows, axis=1)
        signs = generator_for(seed, "exchange").choice(np.array([-1, 1]), size=(n_resamples, n_images))
        return cls(counts, permutations, signs)

    @property
    def n_resamples(self) -> int:
        """Number of resamples, and of permutations."""
        return len(self.counts)

    def over_tables(self, tables: Float[np.ndarray, "place image candidate"]) -> Float[np.ndarray, "row place"]:
        """Return the mean of the diagonal of each table: as it is, in every resample, then in every permutation.

        Statistics are computed from all rows alike, so that value, interval and null come from one formula. Row 0 is the
        value, then come ``n_resamples`` resamples, then as many permutations, in which queries are assigned to other
        images, the same ones at every place.
        """
        own = np.diagonal(tables, axis1=1, axis2=2)
        itself = np.arange(self.counts.shape[1])
        permuted = np.stack([table[itself, self.permutations].mean(axis=1) for table in tables], axis=1)
        return np.concatenate([own.mean(axis=1)[None], self._bootstrap(own), permuted])

    def over_differences(self, differences: Float[np.ndarray, "place image"]) -> Float[np.ndarray, "row place"]:
        """Return the mean paired difference: as it is, in every resample, then with the members of pairs exchanged."""
        exchanged = self.signs @ differences.T / self.signs.shape[1]
        return np.concatenate([differences.mean(axis=1)[None], self._bootstrap(differences), exchanged])

    def _bootstrap(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(self.counts @ values.T / self.counts.shape[1])
