"""The trials that analyses of neurons ask with: of the test images once, or of some training images to rank neurons by."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from dina.analyses.decoded import Decoded
from dina.data.pairs import Pairs, QueryKind, make_task
from dina.randomness import generator_for
from dina.shapes import ContrastImages


@dataclass(frozen=True, eq=False)
class Asked:
    """Queries with their answers, in the double precision that differences of scores need.

    Parameters
    ----------
    images
        The gallery, in units of contrast, shape ``(n_gallery, channel, height, width)``.
    responses
        Standardised, shape ``(n_queries, n_neurons)``.
    target
        Place in the gallery of the image shown in each query, shape ``(n_queries,)``.
    kind
        "single_trial", or "averaged" where the recording stores averages only.
    """

    images: ContrastImages
    responses: Float[Tensor, "query neuron"]
    target: Int[Tensor, "query"]
    kind: QueryKind

    @property
    def n_images(self) -> int:
        """Number of images, which are the independent things here; trials of one image are not."""
        return len(self.images)

    def first(self, n_queries: int) -> "Asked":
        """Return the first queries in order of presentation, against the same gallery."""
        return Asked(self.images, self.responses[:n_queries], self.target[:n_queries], self.kind)

    def first_images(self, n_images: int) -> "Asked":
        """Return the queries about the first images of the gallery, which stays as it is."""
        rows = self.target < n_images
        return Asked(self.images, self.responses[rows], self.target[rows], self.kind)

    def by_image(self, values: Float[Tensor, "query other"]) -> Float[np.ndarray, "gallery other"]:
        """Average values over the queries of each image, so that every image counts the same; NaN where it has none."""
        total = torch.zeros(self.n_images, values.shape[1], dtype=values.dtype).index_add_(0, self.target, values)
        number = torch.bincount(self.target, minlength=self.n_images)
        return (total / number[:, None]).numpy()


def ask_test(decoded: Decoded) -> Asked:
    """Return the single trials of the test images against each other; averages where there are no single trials."""
    return _ask(decoded.test)


def ask_training(decoded: Decoded, n_images: int) -> Asked:
    """Return the trials of at most ``n_images`` training images against each other; neurons are ranked by these."""
    train = decoded.train
    if train.n_stimuli <= n_images:
        return _ask(train)
    chosen = np.sort(generator_for(decoded.seed, "ranking images").permutation(train.n_stimuli)[:n_images])
    position = np.full(train.n_stimuli, -1, dtype=np.int64)
    position[chosen] = np.arange(n_images)
    rows = np.flatnonzero(position[train.stimulus_index] >= 0)
    part = Pairs(
        images=train.images[chosen],
        stimulus_id=train.stimulus_id[chosen],
        responses=train.responses[rows],
        stimulus_index=position[train.stimulus_index[rows]],
        n_presentations=train.n_presentations[rows],
        standardiser=train.standardiser,
    )
    return _ask(part)


def _ask(pairs: Pairs) -> Asked:
    single = pairs.n_presentations == 1
    every_image = len(np.unique(pairs.stimulus_index[single])) == pairs.n_stimuli
    task = make_task(pairs, "single_trial" if every_image else "averaged")
    responses = torch.from_numpy(np.asarray(task.queries.responses, dtype=np.float64))
    kind: QueryKind = "single_trial" if every_image else "averaged"
    return Asked(task.gallery.images, responses, torch.from_numpy(task.target), kind)
