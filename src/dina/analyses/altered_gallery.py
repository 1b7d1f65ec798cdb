"""Retrieval from galleries of altered images, by the fitted towers or by towers fitted anew on altered images."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int

from dina.analyses.decoded import Decoded
from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.progress import track
from dina.randomness import generator_for
from dina.retrieval.ranks import Direction
from dina.shapes import ContrastImages, Scores
from dina.training.aligned_towers import AlignedTowers

# Test images that a gallery needs.
FEWEST_IMAGES = 10

# An alteration of images; for a refit, of the images of any part of the split.
Alter = Callable[[ContrastImages], ContrastImages]


class EncodedQueries:
    """The averaged responses to the ``chosen`` images of some pairs, encoded once and compared with many galleries.

    All galleries hold as many images, in this order.
    """

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
        """Return the score of each gallery image for each query."""
        gallery = torch.from_numpy(self.towers.encode_images(images)).to(self.towers.device)
        scores = self.towers.comparison(self._maps, gallery, self._presentations) - self._evidence[:, None]
        return np.asarray(scores.float().cpu().numpy())


def choose_test_images(decoded: Decoded, most: int, purpose: str) -> Int[np.ndarray, "image"]:
    """Choose at most so many test images at random, in order: the cost of galleries grows with their number.

    Raises
    ------
    DataError
        If there are fewer than ten test images.
    """
    n = decoded.test.n_stimuli
    if n < FEWEST_IMAGES:
        raise DataError(
            f"Galleries of altered images need at least {FEWEST_IMAGES} test images; there are {n}. Keep more images for testing."
        )
    return np.sort(generator_for(decoded.seed, purpose).permutation(n)[: min(n, most)])


def score_altered(queries: EncodedQueries, alterations: Mapping[str, Alter], words: str) -> dict[str, Scores]:
    """Score one gallery of altered images after the other with the fitted towers; ``words`` name the progress bar."""
    shown = track(alterations.items(), words)
    return {name: queries.score(alter(queries.images)) for name, alter in shown}


def refit_altered(
    decoded: Decoded, alterations: Mapping[str, Alter], words: str
) -> Float[np.ndarray, "alteration image candidate"]:
    """Fit towers anew for each alteration of all images; return `first_places` of the altered test images.

    Responses, split, preset, settings and seed are those of the decoding. An alteration gets training, validation and test
    images alike and must learn from training images alone. Tables already made are kept in ``decoded.parts`` under the names
    of the alterations; ``words`` name the progress bar.

    Raises
    ------
    DataError
        If the towers cannot be fitted on the altered images.
    """
    shown = track(alterations.items(), words)
    return np.stack([decoded.parts.get(name, partial(_refit, decoded, alter))["first"] for name, alter in shown])


def _refit(decoded: Decoded, alter: Alter) -> dict[str, np.ndarray]:
    train, validation, test = (
        replace(pairs, images=alter(pairs.images)) for pairs in (decoded.train, decoded.validation, decoded.test)
    )
    return {"first": first_places_unaltered(replace(decoded, train=train, validation=validation, test=test).refit())}


def first_places_unaltered(decoded: Decoded) -> Float[np.ndarray, "image candidate"]:
    """Search all test images, unaltered, with the fitted towers; see `first_places`."""
    queries = EncodedQueries(decoded.towers, decoded.test, np.arange(decoded.test.n_stimuli))
    return first_places(queries.score(queries.images))


def first_places(scores: Scores, direction: Direction = "image_from_response") -> Float[np.ndarray, "image candidate"]:
    """Return for each image and candidate the chance that the candidate comes first, ties divided.

    Query i belongs to gallery image i; the diagonal is top-1 accuracy image by image. In the direction
    ``response_from_image`` the rows are gallery images used as queries and the columns responses.

    Examples
    --------
    >>> first_places(np.array([[2.0, 1.0], [3.0, 3.0]])).tolist()
    [[1.0, 0.0], [0.5, 0.5]]
    """
    table = scores if direction == "image_from_response" else scores.T
    is_best = table == table.max(axis=1, keepdims=True)
    shares: np.ndarray = is_best / is_best.sum(axis=1, keepdims=True)
    return shares
