"""dina in scikit-learn's manner: fit to one recording, scored and asked on others."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from jaxtyping import Int

from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries, QueryKind, learn_standardiser, make_pairs, make_task
from dina.data.response_transform import IDENTITY
from dina.data.splits import group_near_identical, split_by_stimulus
from dina.large_arrays import blocks_of
from dina.models.transform_choice import TransformName, choose_transform
from dina.recordings.given_numbers import check_recording, check_responses, contrast_of
from dina.recordings.recording import Recording
from dina.retrieval.evaluate import DecodingRow, evaluate
from dina.retrieval.ranks import retrieve
from dina.short_words import brief
from dina.training.aligned_towers import AlignedTowers
from dina.training.dina_decoder import DinaDecoder
from dina.training.presets import AnyPreset, PresetSettings, changed_settings, find_preset, name_of

PIXELS_AT_ONCE = 2**25  # of a gallery that is read some images at a time


def train_test_split(
    recording: Recording,
    test_fraction: float = 0.1,
    seed: int = 0,
    *,
    test_size: float | None = None,
    random_state: int | None = None,
) -> tuple[Recording, Recording]:
    """Divide a recording by image: the trials of some images to learn from, those of the others to test.

    Near-identical images stay on one side. Both recordings keep all images; those of the other side are not shown in them.
    ``test_fraction``, of the images, lies in (0, 1). scikit-learn's names ``test_size`` and ``random_state`` mean the same as
    ``test_fraction`` and ``seed``.

    Raises
    ------
    DataError
        If it is no recording, there are too few images, or the fraction is out of range.

    Examples
    --------
    >>> train, test = train_test_split(recording)  # doctest: +SKIP
    """
    check_recording(recording)
    test_fraction = test_fraction if test_size is None else test_size
    seed = seed if random_state is None else random_state
    split = split_by_stimulus([recording], group_near_identical(recording.images), seed, 0.1, test_fraction)
    is_test = np.isin(recording.stimulus_id, split.test)
    kept = (("to learn from", ~is_test), ("to test", is_test))
    train, test = (
        recording.select_trials(rows, f"{int(rows.sum())} of {len(rows)} trials were kept {words}.") for words, rows in kept
    )
    return train, test


def learn_pairs(
    recording: Recording,
    parts: Sequence[Int[np.ndarray, "_"]],
    preset: AnyPreset,
    response_transform: TransformName = "chosen",
) -> tuple[Pairs, ...]:
    """Return the pairs of each part, transformed and standardised as the first part says: that from which a preset learns."""
    is_raw = find_preset(preset).units == "raw"
    transform = IDENTITY if is_raw else choose_transform(recording, parts[0], response_transform).transform
    standardiser = learn_standardiser(recording, parts[0], transform)
    return tuple(make_pairs(recording, ids, standardiser) for ids in parts)


_UNCHANGED: Any = object()  # None is a value of its own


def _whole_settings(preset: AnyPreset, settings: PresetSettings | Mapping[str, Any] | None) -> PresetSettings | None:
    find_preset(preset)
    return changed_settings(preset, settings) if isinstance(settings, Mapping) else settings


class ImageDecoder:
    """The towers of a preset, fitted to one recording, find which of some images was shown.

    Parameters
    ----------
    preset
        Name of a preset, or a preset as an object.
    settings
        Of the preset, or a dictionary of those that differ from what it prescribes, such as ``{"fit": {"n_epochs": 20}}``.
    seed
        Of every random choice.
    device
        "cpu" or "cuda".

    Examples
    --------
    >>> train, test = train_test_split(recording)  # doctest: +SKIP
    >>> ImageDecoder("default", seed=0).fit(train).score(test)  # doctest: +SKIP
    0.9
    """

    __repr__ = brief

    def __init__(
        self,
        preset: AnyPreset = "default",
        settings: PresetSettings | Mapping[str, Any] | None = None,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        _whole_settings(preset, settings)  # mistakes are refused now, not at `fit`
        self.preset = preset
        self.settings = settings
        self.seed = seed
        self.device = device
        self._fitted: tuple[Recording, Pairs, DinaDecoder] | None = None

    def get_params(self, *, deep: bool = True) -> dict[str, Any]:
        """Return what the decoder was made with, by name, as `sklearn.base.clone` asks for; ``deep`` changes nothing here."""
        return {"preset": self.preset, "settings": self.settings, "seed": self.seed, "device": self.device}

    def set_params(
        self, *, preset: Any = _UNCHANGED, settings: Any = _UNCHANGED, seed: Any = _UNCHANGED, device: Any = _UNCHANGED
    ) -> Self:
        """Change what the decoder was made with, for the next `fit`; return itself.

        Raises
        ------
        DataError
            If preset or settings are none; nothing is changed then.
        """
        given = {"preset": preset, "settings": settings, "seed": seed, "device": device}
        wanted = self.get_params() | {name: value for name, value in given.items() if value is not _UNCHANGED}
        _whole_settings(wanted["preset"], wanted["settings"])
        for name, value in wanted.items():
            setattr(self, name, value)
        return self

    def fit(self, recording: Recording, y: object = None) -> Self:
        """Learn from the images shown in a recording, a tenth of which choose settings and epoch; return itself.

        The recording holds images and responses, so ``y`` is not used; arrays in its place are refused.

        Raises
        ------
        DataError
            If it is no recording, or holds too few images.
        """
        check_recording(recording)
        if y is not None:
            raise DataError(
                f"A recording holds images and responses, and nothing is fitted to y; got {type(y).__name__}. Leave it out."
            )
        split = split_by_stimulus([recording], group_near_identical(recording.images), self.seed)
        parts = (np.union1d(split.train, split.test), split.validation)  # nothing is held out here: `score` takes other images
        train, validation = learn_pairs(recording, parts, self.preset)
        settings = _whole_settings(self.preset, self.settings)
        decoder = DinaDecoder(self.preset, settings, self.seed, self.device).fit(train, validation)
        self._fitted = (recording, train, decoder)
        return self

    @property
    def towers(self) -> AlignedTowers:
        """The fitted towers.

        Raises
        ------
        DataError
            Before `fit`.
        """
        found = self._known()[2].towers
        if found is None:
            raise DataError("The decoder holds no towers. Fit it first.")
        return found

    def score(self, recording: Recording, queries: QueryKind = "averaged") -> float:
        """Return how often the right image of those shown in the recording is found first, from 0 to 1; chance is 1 / number of images.

        ``queries`` are averaged responses or single trials. `evaluate` gives interval, chance and p-value too.

        Raises
        ------
        DataError
            Before `fit`; if the decoder has learnt from one of the images; if neurons or size of images differ.
        """
        scores, target = self._scores(recording, queries)
        return float(retrieve(scores, target, "image_from_response").top(1).mean())

    def evaluate(self, recording: Recording, queries: QueryKind = "averaged", n_resamples: int = 10_000) -> DecodingRow:
        """Return the same accuracy with its interval, beside chance and a p-value; ``table()`` shows it. Errors as in `score`."""
        scores, target = self._scores(recording, queries)
        name = name_of(self._known()[2].preset)
        return evaluate("dina", name, "images", scores, target, queries, "image_from_response", self.seed, n_resamples)

    def predict(self, responses: Any, images: Any) -> Int[np.ndarray, "trial"]:
        """Return for each single trial the position of the image that fits best.

        Responses are in the units of the recording, shape (trial, neuron); images are pixels like its own, shape (image,
        channel, height, width). A gallery too large for memory is given as a mapped array (``numpy.load(FILE, mmap_mode="r")``): of
        an array of numpy some images are read at a time.

        Raises
        ------
        DataError
            Before `fit`; if neurons or size of images differ.
        """
        recording, train, decoder = self._known()
        standard = train.standardiser.apply(check_responses(recording, responses))
        queries = Queries(standard, np.ones(len(standard)))
        at_once = max(1, PIXELS_AT_ONCE // recording.images[0].size)
        is_large = isinstance(images, np.ndarray) and len(images) > at_once
        place, highest = np.zeros(len(standard), dtype=np.int64), np.full(len(standard), -np.inf)
        for some in blocks_of(len(images), at_once) if is_large else [slice(None)]:
            part = contrast_of(recording, images[some] if is_large else images)
            scores = decoder.score(queries, Gallery(part, np.arange(len(part))))
            found = scores.argmax(axis=1)
            of_found = scores[np.arange(len(found)), found]
            for query in np.flatnonzero(of_found > highest):
                at = int(found[query]) + (some.start or 0)
                if not (
                    is_large and some.start and np.array_equal(images[at], images[place[query]])
                ):  # else a copy, but for rounding
                    place[query], highest[query] = at, of_found[query]
        return place

    def _known(self) -> tuple[Recording, Pairs, DinaDecoder]:
        if self._fitted is None:
            raise DataError("The decoder must be fitted first; call fit(recording).")
        return self._fitted

    def _scores(self, recording: Recording, queries: QueryKind) -> tuple[np.ndarray, np.ndarray]:
        fitted, train, decoder = self._known()
        check_recording(recording)
        check_responses(fitted, recording.responses[:1])
        if recording.images.shape[1:] != fitted.images.shape[1:]:
            raise DataError(
                f"images must be {fitted.images.shape[1:]}, as those that were learnt from; got {recording.images.shape[1:]}."
                " Resize them."
            )
        shown, learnt = np.unique(recording.stimulus_id), np.unique(fitted.stimulus_id)
        group = group_near_identical(np.concatenate([fitted.images[learnt], recording.images[shown]]))
        known = shown[np.isin(group[len(learnt) :], group[: len(learnt)])].tolist()
        if known:
            raise DataError(
                f"Images to test must be others than those that were learnt from; {len(known)} of {len(shown)} are the same or"
                f" nearly so, the first is image {known[0]}. Divide the recording with train_test_split first."
            )
        task = make_task(make_pairs(recording, shown, train.standardiser), queries)
        return decoder.score(task.queries, task.gallery), task.target
