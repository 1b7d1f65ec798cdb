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


@dataclass(frozen=True, eq=False)
class RecordingPairs:
    """The pairs by which towers of one recording are trained.

    Parameters
    ----------
    train, validation
        Pairs of two parts of one split, standardised alike.
    name
        Of the recording; recordings that are trained together need different ones. Batches and heads of a recording with
        a name draw from a seed that depends on it.
    image_features
        A fixed row of numbers for every image of the recording, in the order of stimulus ids, for objectives that need
        them; None for none.
    """

    train: Pairs
    validation: Pairs
    name: str = ""
    image_features: Float[np.ndarray, "image feature"] | None = None


class Batch(NamedTuple):
    """Images and responses to them: one mixture of its trials for each, or single trials.

    Parameters
    ----------
    images
        In units of contrast.
    responses
        Standardised.
    n_presentations
        How many presentations a response is worth.
    group
        Of near-identical images, for each response.
    position
        Of each response's image among all training images.
    row
        Of each response's image among ``images``; None if there is one response to each, in the same order.
    """

    images: Float[Tensor, "image channel height width"]
    responses: Float[Tensor, "batch neuron"]
    n_presentations: Float[Tensor, "batch"]
    group: Int[Tensor, "batch"]
    position: Int[Tensor, "batch"]
    row: Int[Tensor, "batch"] | None = None


def updates_per_epoch(n_images: Sequence[int], batch_size: int) -> int:
    """Return how many updates of what is shared an epoch makes; one recording shares with none.

    Parameters
    ----------
    n_images
        Training images of each recording.
    batch_size
        Images per batch, at most.

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

    Parameters
    ----------
    train
        Training pairs.
    group
        Group of near-identical images of each image, shape ``(n_stimuli,)``.
    batch_size
        Images per batch, at most; the batches of an epoch differ by one image at the most, and hold at least two.
    seed
        Of order and mixtures.
    device
        "cpu", "cuda" …

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
        self.images = torch.from_numpy(train.images).to(device)
        self.responses = torch.from_numpy(np.ascontiguousarray(train.responses, dtype=np.float32)).to(device)
        self.group = torch.from_numpy(np.asarray(group, dtype=np.int64)).to(device)
        number = train.repeat_number()
        self.trial = np.zeros((self.n_images, int(number.max()) + 1), dtype=np.int64)
        self.presentations = np.zeros(self.trial.shape)
        self.trial[train.stimulus_index, number] = np.arange(len(number))
        self.presentations[train.stimulus_index, number] = train.n_presentations

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of one epoch.

        The weights of an image's trials are drawn from a Dirichlet distribution whose parameters are their numbers of
        presentations: for two single trials u and 1 − u with u uniform; an average without other trials passes as
        it is. A mixture with weights w of trials of n presentations is worth 1 / Σ(w²/n) presentations.
        """
        order = generator_for(self.seed, f"batch order {epoch}").permutation(self.n_images)
        share = generator_for(self.seed, f"trial mixtures {epoch}").standard_gamma(self.presentations)
        weight = share / share.sum(1, keepdims=True)
        noise = np.divide(weight**2, self.presentations, out=np.zeros_like(weight), where=self.presentations > 0)
        worth = 1 / noise.sum(1)
        for chosen in np.array_split(order, self.n_batches):
            index = torch.from_numpy(chosen).to(self.device)
            responses = torch.zeros(len(chosen), self.responses.shape[1], device=self.device)
            # one product per repeat: its order of summation is fixed, unlike that of a scatter on a GPU
            for repeat in range(weight.shape[1]):
                factor = torch.from_numpy(weight[chosen, repeat, None].astype(np.float32)).to(self.device)
                rows = torch.from_numpy(self.trial[chosen, repeat]).to(self.device)
                responses.addcmul_(factor, self.responses.index_select(0, rows))
            presentations = torch.from_numpy(worth[chosen].astype(np.float32)).to(self.device)
            images, group = self.images.index_select(0, index), self.group.index_select(0, index)
            yield Batch(images, responses, presentations, group, index)

    def epoch_of_trials(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of one epoch with single trials: two of each image, drawn anew, or the one there is."""
        order = generator_for(self.seed, f"batch order {epoch}").permutation(self.n_images)
        # trials in random order, those that do not exist last
        lottery = generator_for(self.seed, f"trial choice {epoch}").random(self.presentations.shape)
        drawn = np.where(self.presentations > 0, lottery, np.inf).argsort(axis=1)[:, :2]
        for chosen in np.array_split(order, self.n_batches):
            repeat = drawn[chosen]
            row, column = np.nonzero(self.presentations[chosen[:, None], repeat] > 0)
            position, number = chosen[row], repeat[row, column]
            index, image = torch.from_numpy(position).to(self.device), torch.from_numpy(chosen).to(self.device)
            trial = torch.from_numpy(self.trial[position, number]).to(self.device)
            worth = torch.from_numpy(self.presentations[position, number].astype(np.float32)).to(self.device)
            responses, group = self.responses.index_select(0, trial), self.group.index_select(0, index)
            images = self.images.index_select(0, image)
            yield Batch(images, responses, worth, group, index, torch.from_numpy(row).to(self.device))


def _count_batches(n_images: int, batch_size: int) -> int:
    """Count the batches of an epoch: full ones but for the last, never one of a single image."""
    return min(-(-n_images // batch_size), n_images // 2)
