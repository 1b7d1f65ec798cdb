"""Image–response pairs of one split, and the queries and galleries made from them."""

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Literal, Self

import numpy as np
from jaxtyping import Float, Int, Shaped

from dina.checks import DataError
from dina.data.response_transform import IDENTITY, ResponseTransform
from dina.data.standardise import Standardiser
from dina.large_arrays import blocks_of, large_zeros
from dina.recordings.recording import Recording
from dina.shapes import ContrastImages, Responses, Scores, StimulusResponses
from dina.short_words import brief
from dina.statistics.repeats import count_within_group, sum_by_group

QueryKind = Literal["averaged", "single_trial"]
NEURONS_AT_ONCE = 4096  # whose trials are averaged
QUERY_KINDS: tuple[QueryKind, ...] = ("averaged", "single_trial")


@dataclass(frozen=True, eq=False)
class Pairs:
    """The images of one part of a split with all their trials.

    Parameters
    ----------
    images
        In units of contrast.
    stimulus_id
        Identity of each image in its recording.
    responses
        Transformed and standardised single trials in order of presentation, dimensionless.
    stimulus_index
        For each trial the position of its image along ``images``.
    n_presentations
        How many presentations each trial averages.
    standardiser
        Learnt from the training trials and applied here.
    labels
        Semantic category of each image, "" where unknown; None if the recording has none. Only objectives that use categories
        read them.
    """

    __repr__ = brief

    images: ContrastImages
    stimulus_id: Int[np.ndarray, "stimulus"]
    responses: Responses
    stimulus_index: Int[np.ndarray, "trial"]
    n_presentations: Int[np.ndarray, "trial"]
    standardiser: Standardiser
    labels: Shaped[np.ndarray, "stimulus"] | None = None

    @property
    def n_stimuli(self) -> int:
        """Number of images."""
        return len(self.stimulus_id)

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return int(self.responses.shape[1])

    def total_presentations(self) -> Float[np.ndarray, "stimulus"]:
        """Return how many presentations the average response to each image averages."""
        return np.bincount(self.stimulus_index, weights=self.n_presentations, minlength=self.n_stimuli)

    def averaged(self) -> StimulusResponses:
        """Average the trials of each image, weighted by presentations."""
        return _average(self.responses, self.n_presentations, self.stimulus_index, self.n_stimuli)

    def select_trials(self, keep: Shaped[np.ndarray, "chosen"]) -> Self:
        """Return the same images with some of their trials, given by a mask or by positions."""
        responses, index = self.responses[keep], self.stimulus_index[keep]
        return replace(self, responses=responses, stimulus_index=index, n_presentations=self.n_presentations[keep])

    def select_neurons(self, kept: Shaped[np.ndarray, "chosen"]) -> Self:
        """Return the same trials of some of the neurons, given by a mask or by positions."""
        of_all = self.standardiser
        standardiser = Standardiser(of_all.mean[kept], of_all.deviation[kept], of_all.transform.select_neurons(kept))
        return replace(self, responses=np.ascontiguousarray(self.responses[:, kept]), standardiser=standardiser)

    def at_most(self, n_images: int) -> Self:
        """Return so many of the images, evenly spaced, with all their trials; itself if there are no more."""
        if self.n_stimuli <= n_images:
            return self
        kept = np.linspace(0, self.n_stimuli - 1, n_images).round().astype(np.int64)
        position = np.full(self.n_stimuli, -1, dtype=np.int64)
        position[kept] = np.arange(n_images)
        part = self.select_trials(position[self.stimulus_index] >= 0)
        return replace(
            part,
            images=self.images[kept],
            stimulus_id=self.stimulus_id[kept],
            stimulus_index=position[part.stimulus_index],
            labels=None if self.labels is None else self.labels[kept],
        )

    def averaged_raw(self) -> StimulusResponses:
        """Average the trials of each image in the units of the recording, as if nothing had been transformed.

        Where the transform has a gain, trials are those divided by it; it is 1 on average over training trials.
        """
        if self.standardiser.transform.is_identity:
            return self.standardiser.undo(self.averaged())
        return _average(self.standardiser.undo(self.responses), self.n_presentations, self.stimulus_index, self.n_stimuli)

    def repeat_number(self) -> Int[np.ndarray, "trial"]:
        """Count the trials of each image, 0, 1, 2 … in order of presentation."""
        return count_within_group(self.stimulus_index)


@dataclass(frozen=True, eq=False)
class Queries:
    """Standardised population responses to be decoded, without the image that was shown."""

    __repr__ = brief

    responses: Float[np.ndarray, "query neuron"]
    n_presentations: Float[np.ndarray, "query"]  # that each query averages; the noise variance falls with it


@dataclass(frozen=True, eq=False)
class Gallery:
    """Candidate images in units of contrast, one of which was shown.

    Only the ideal observer reads ``stimulus_id``. Templates are average responses to the candidates from *other* trials than
    the queries'; only reference levels read them.
    """

    __repr__ = brief

    images: ContrastImages
    stimulus_id: Int[np.ndarray, "gallery"]
    templates: StimulusResponses | None = None

    def tie_copies(self, scores: Scores) -> Scores:
        """Give images with the same pixels the score of the first of them.

        A decoder that reads images cannot tell them apart, but rounding can: scores of one image at two places of a matrix product
        differ in the last digits, and would then be ranked at random instead of sharing their place.
        """
        first: dict[bytes, int] = {}
        place = [first.setdefault(sha256(image.tobytes()).digest(), at) for at, image in enumerate(self.images)]
        return scores if len(first) == len(place) else scores[:, place]


@dataclass(frozen=True, eq=False)
class RetrievalTask:
    """Queries, their gallery, and the answer, which decoders never see."""

    __repr__ = brief

    queries: Queries
    gallery: Gallery
    target: Int[np.ndarray, "query"]  # for each query the position of its image in the gallery


def make_pairs(recording: Recording, stimulus_id: Int[np.ndarray, "stimulus"], standardiser: Standardiser) -> Pairs:
    """Collect the images ``stimulus_id`` that were shown in ``recording`` and all their trials, transformed and standardised."""
    shown = np.asarray(stimulus_id)[np.isin(stimulus_id, recording.stimulus_id)]
    position = np.full(recording.n_stimuli, -1, dtype=np.int64)
    position[shown] = np.arange(len(shown))
    trials = np.flatnonzero(position[recording.stimulus_id] >= 0)
    return Pairs(
        images=recording.contrast(shown),
        stimulus_id=shown,
        responses=standardiser.apply(recording.responses, trials),
        stimulus_index=position[recording.stimulus_id[trials]],
        n_presentations=recording.n_presentations[trials],
        standardiser=standardiser,
        labels=None if recording.labels is None else recording.labels[shown],
    )


def learn_standardiser(
    recording: Recording, train: Int[np.ndarray, "n_train"], transform: ResponseTransform = IDENTITY
) -> Standardiser:
    """Learn mean and deviation of transformed responses from the trials of the training images only."""
    return Standardiser.learn(recording.responses, transform, np.flatnonzero(np.isin(recording.stimulus_id, train)))


def make_task(pairs: Pairs, kind: QueryKind) -> RetrievalTask:
    """Make queries from averaged responses or single trials against the gallery of all images of ``pairs``.

    Raises
    ------
    DataError
        For single trials, if every row of the recording averages several presentations.
    """
    gallery = Gallery(images=pairs.images, stimulus_id=pairs.stimulus_id)
    if kind == "averaged":
        queries = Queries(pairs.averaged(), pairs.total_presentations())
        return RetrievalTask(queries, gallery, np.arange(pairs.n_stimuli))
    single = pairs.n_presentations == 1
    if not single.any():
        raise DataError("Single trials cannot be decoded: this recording stores averages only.")
    queries = Queries(pairs.responses[single], pairs.n_presentations[single].astype(np.float64))
    return RetrievalTask(queries, gallery, pairs.stimulus_index[single])


def make_template_tasks(pairs: Pairs) -> list[RetrievalTask]:
    """Make one task per repeat: its trials as queries, the average of each image's other trials as templates.

    Images with fewer than two trials are left out of queries and gallery. With two repeats this is repeat 1
    against repeat 2 and the reverse.

    Raises
    ------
    DataError
        If fewer than two images have two trials.
    """
    counts = np.bincount(pairs.stimulus_index, minlength=pairs.n_stimuli)
    repeated = np.flatnonzero(counts >= 2)
    if len(repeated) < 2:
        raise DataError("Matching one repeat to another needs at least two images with two trials each.")
    number = pairs.repeat_number()
    position = np.full(pairs.n_stimuli, -1, dtype=np.int64)
    position[repeated] = np.arange(len(repeated))
    tasks = []
    for repeat in range(int(counts.max())):
        chosen = (number == repeat) & (position[pairs.stimulus_index] >= 0)
        other = (number != repeat) & (position[pairs.stimulus_index] >= 0)
        row = position[pairs.stimulus_index[other]]
        templates = _average(pairs.responses[other], pairs.n_presentations[other], row, len(repeated))
        gallery = Gallery(pairs.images[repeated], pairs.stimulus_id[repeated], templates)
        queries = Queries(pairs.responses[chosen], pairs.n_presentations[chosen].astype(np.float64))
        tasks.append(RetrievalTask(queries, gallery, position[pairs.stimulus_index[chosen]]))
    return tasks


def _average(
    responses: Responses, n_presentations: Int[np.ndarray, "trial"], index: Int[np.ndarray, "trial"], n_stimuli: int
) -> StimulusResponses:
    """Average the trials of each image, weighted by presentations."""
    weight = np.bincount(index, weights=n_presentations, minlength=n_stimuli).astype(np.float32)
    averages = large_zeros((n_stimuli, responses.shape[1]))
    for block in blocks_of(responses.shape[1], NEURONS_AT_ONCE):
        some = responses[:, block]
        if (n_presentations != 1).any():  # else spare a copy
            some = some * n_presentations.astype(np.float32)[:, None]
        np.divide(sum_by_group(some, index, n_stimuli), weight[:, None], out=averages[:, block])
    return averages
