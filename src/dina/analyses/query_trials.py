"""The trials from which analyses of neurons decode, and what each neuron contributes to decoding them, in one number."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from dina.analyses.decoded import Decoded
from dina.analyses.neuron_readout import readout_of, treatments_of
from dina.data.pairs import Pairs, QueryKind, make_task
from dina.randomness import generator_for
from dina.shapes import ContrastImages

SAME_TRIALS = "Two measures of the same trials agree also where nothing is decoded, so that there is no null."


@dataclass(frozen=True, eq=False)
class QueryTrials:
    """Trials and the images among which each is sought, in the double precision that differences of scores need."""

    images: ContrastImages  # the gallery, in units of contrast
    responses: Float[Tensor, "query neuron"]  # standardised
    target: Int[Tensor, "query"]  # place in the gallery of the image shown
    kind: QueryKind  # "averaged" where the recording stores averages only

    @classmethod
    def of_test(cls, decoded: Decoded) -> "QueryTrials":
        """Return the single trials of the test images, sought among each other; averages where there are no single trials."""
        return cls._of(decoded.test)

    @classmethod
    def of_training(cls, decoded: Decoded, n_images: int) -> "QueryTrials":
        """Return the trials of at most ``n_images`` training images, sought among each other."""
        train = decoded.train
        if train.n_stimuli <= n_images:
            return cls._of(train)
        chosen = np.sort(generator_for(decoded.seed, "ranking images").permutation(train.n_stimuli)[:n_images])
        part = train.select_trials(np.isin(train.stimulus_index, chosen))
        images, ids, index = train.images[chosen], train.stimulus_id[chosen], np.searchsorted(chosen, part.stimulus_index)
        return cls._of(replace(part, images=images, stimulus_id=ids, stimulus_index=index, labels=None))

    @classmethod
    def _of(cls, pairs: Pairs) -> "QueryTrials":
        single = pairs.n_presentations == 1
        every_image = len(np.unique(pairs.stimulus_index[single])) == pairs.n_stimuli
        kind: QueryKind = "single_trial" if every_image else "averaged"
        task = make_task(pairs, kind)
        responses = torch.from_numpy(np.asarray(task.queries.responses, dtype=np.float64))
        return cls(task.gallery.images, responses, torch.from_numpy(task.target), kind)

    @property
    def n_images(self) -> int:
        """Number of images, which are the independent things here; trials of one image are not."""
        return len(self.images)

    def first(self, n_queries: int) -> "QueryTrials":
        """Return the first queries in order of presentation, against the same gallery."""
        return replace(self, responses=self.responses[:n_queries], target=self.target[:n_queries])

    def first_images(self, n_images: int) -> "QueryTrials":
        """Return the queries about the first images of the gallery; the gallery stays whole."""
        rows = self.target < n_images
        return replace(self, responses=self.responses[rows], target=self.target[rows])

    def by_image(self, values: Float[Tensor, "query other"]) -> Float[np.ndarray, "image other"]:
        """Average values over the queries of each image, so that every image counts the same; images without queries are left out."""
        total = torch.zeros(self.n_images, values.shape[1], dtype=values.dtype).index_add_(0, self.target, values)
        number = torch.bincount(self.target, minlength=self.n_images)
        is_asked = number > 0
        return (total[is_asked] / number[is_asked, None]).numpy()

    def first_places(self, scores: Float[Tensor, "query gallery"]) -> Float[np.ndarray, "image candidate"]:
        """Return by image the fraction of its queries that have each candidate in the first place, ties shared."""
        is_best = scores == scores.amax(1, keepdim=True)
        return self.by_image(is_best.double() / is_best.sum(1, keepdim=True))

    def accuracy(self, scores: Float[Tensor, "query gallery"]) -> Float[np.ndarray, "image"]:
        """Return by image the fraction of its queries that have it in the first place; of ties each takes a fair share."""
        right = scores.gather(1, self.target[:, None])
        n_better, n_as_good = (scores > right).sum(1), (scores == right).sum(1)
        is_first = torch.where(n_better == 0, 1 / n_as_good.double(), torch.zeros(len(scores), dtype=torch.float64))
        return self.by_image(is_first[:, None])[:, 0]


def mean_contributions(decoded: Decoded) -> Float[np.ndarray, "neuron"]:
    """Return what each neuron contributes to decoding test images; to first order where there is no closed form."""
    return _mean_contributions(decoded, QueryTrials.of_test(decoded))


def rank_on_training(decoded: Decoded, n_images: int) -> Float[np.ndarray, "neuron"]:
    """Return what each neuron contributes to decoding training images; test images are not read.

    The towers were fitted on these images, so all contributions are too large. Use only their order.
    """
    return _mean_contributions(decoded, QueryTrials.of_training(decoded, n_images))


def _mean_contributions(decoded: Decoded, trials: QueryTrials) -> Float[np.ndarray, "neuron"]:
    treatment = treatments_of(decoded.towers)[0]
    lost = readout_of(decoded.towers, trials.images).margins_lost(trials.responses, trials.target, treatment)
    return np.asarray(trials.by_image(lost).mean(0))
