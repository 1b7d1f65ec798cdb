"""What training sees of a recording: its pairs, and batches with every image once an epoch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.randomness import generator_for
from dina.short_words import brief


@dataclass(frozen=True, eq=False)
class RecordingPairs:
    """The pairs of one recording, of two parts of one split and standardised alike, by which towers are trained.

    Recordings that are trained together need different names; batches and heads of a recording with a name draw from a seed
    that depends on it. ``image_features`` holds fixed numbers for every image of the recording, in the order of stimulus ids,
    for objectives that need them.
    """

    __repr__ = brief

    train: Pairs
    validation: Pairs
    name: str = ""
    image_features: Float[np.ndarray, "image feature"] | None = None


class Batch(NamedTuple):
    """Images and standardised responses to them: to each image one mixture of its trials, or single trials."""

    images: Float[Tensor, "image channel height width"]  # in units of contrast
    responses: Float[Tensor, "batch neuron"]
    n_presentations: Float[Tensor, "batch"]  # number of presentations that a response counts as
    group: Int[Tensor, "batch"]  # of near-identical images, for each response
    position: Int[Tensor, "batch"]  # of each response's image among all training images
    row: Int[Tensor, "batch"] | None = None  # of each response's image among images; None if there is one response to each


def updates_per_epoch(n_images: Sequence[int], batch_size: int) -> int:
    """Return how many updates an epoch makes, from the number of training images of each recording.

    Examples
    --------
    >>> updates_per_epoch([400, 400, 40], 128)
    9

    No batch has a single image, whose response would have no wrong answer:

    >>> updates_per_epoch([3], 2)
    1
    """
    return sum(_count_batches(n, batch_size) for n in n_images)


class TrainingBatches:
    """All training data on one device, in an order that depends on the seed and the epoch alone.

    The batches of an epoch differ by one image at the most, and hold at least two. ``group`` numbers near-identical images.

    Raises
    ------
    DataError
        If there are fewer than two different images.
    """

    def __init__(
        self, train: Pairs, group: Int[np.ndarray, "stimulus"], batch_size: int, seed: int, device: torch.device
    ) -> None:
        n_different = len(np.unique(group))
        if n_different < 2:
            raise DataError(
                f"Contrastive training needs at least 2 different images; got {n_different} among {train.n_stimuli}"
                " training images. Record more images, or use another split."
            )
        self.seed = seed
        self.device = device
        self.n_images = train.n_stimuli
        self.n_batches = _count_batches(self.n_images, batch_size)
        self.images = self._place(train.images)
        self.responses = self._place(np.ascontiguousarray(train.responses, dtype=np.float32))
        self.group = self._place(np.asarray(group, dtype=np.int64))
        number = train.repeat_number()
        self.trial = np.zeros((self.n_images, int(number.max()) + 1), dtype=np.int64)
        self.presentations = np.zeros(self.trial.shape)
        self.trial[train.stimulus_index, number] = np.arange(len(number))
        self.presentations[train.stimulus_index, number] = train.n_presentations

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of one epoch with a random mixture of the trials of each image.

        Weights follow a Dirichlet distribution whose parameters are the trials' numbers of presentations: for two single
        trials u and 1 − u with u uniform. A mixture with weights w of trials of n presentations counts as 1 / Σ(w²/n)
        presentations.
        """
        share = generator_for(self.seed, f"trial mixtures {epoch}").standard_gamma(self.presentations)
        weight = share / share.sum(1, keepdims=True)
        noise = np.divide(weight**2, self.presentations, out=np.zeros_like(weight), where=self.presentations > 0)
        worth = 1 / noise.sum(1)
        for chosen in self._order(epoch):
            index = self._place(chosen)
            responses = torch.zeros(len(chosen), self.responses.shape[1], device=self.device)
            # one product per repeat: its order of summation is fixed, unlike that of a scatter on a GPU
            for repeat in range(weight.shape[1]):
                factor = self._place(weight[chosen, repeat, None].astype(np.float32))
                rows = self._place(self.trial[chosen, repeat])
                responses.addcmul_(factor, self.responses.index_select(0, rows))
            presentations = self._place(worth[chosen].astype(np.float32))
            images, group = self.images.index_select(0, index), self.group.index_select(0, index)
            yield Batch(images, responses, presentations, group, index)

    def epoch_of_trials(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of one epoch with single trials: two of each image, drawn anew, or the one there is."""
        # trials in random order, those that do not exist last
        lottery = generator_for(self.seed, f"trial choice {epoch}").random(self.presentations.shape)
        drawn = np.where(self.presentations > 0, lottery, np.inf).argsort(axis=1)[:, :2]
        for chosen in self._order(epoch):
            repeat = drawn[chosen]
            row, column = np.nonzero(self.presentations[chosen[:, None], repeat] > 0)
            position, number = chosen[row], repeat[row, column]
            index, trial = self._place(position), self._place(self.trial[position, number])
            worth = self._place(self.presentations[position, number].astype(np.float32))
            responses, group = self.responses.index_select(0, trial), self.group.index_select(0, index)
            images = self.images.index_select(0, self._place(chosen))
            yield Batch(images, responses, worth, group, index, self._place(row))

    def _order(self, epoch: int) -> list[Int[np.ndarray, "image"]]:
        """Return the images of every batch of an epoch."""
        order = generator_for(self.seed, f"batch order {epoch}").permutation(self.n_images)
        return np.array_split(order, self.n_batches)

    def _place(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(self.device)


def _count_batches(n_images: int, batch_size: int) -> int:
    return min(-(-n_images // batch_size), n_images // 2)
