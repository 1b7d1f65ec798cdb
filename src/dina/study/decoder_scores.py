"""Fit one decoder, score the test images with it once, and keep its scores in ``results/retrieval_<decoder>.nc``."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import xarray as xr
from jaxtyping import Int

from dina.artifacts import write_dataset
from dina.checks import DataError
from dina.data.pairs import QUERY_KINDS, Pairs, QueryKind, make_task, make_template_tasks
from dina.retrieval.decoder import Decoder, Reads
from dina.rivals import RIVALS
from dina.shapes import Scores
from dina.short_words import brief
from dina.study.prepared_recordings import SplitPairs

log = logging.getLogger(__name__)

COLLAPSED = 1e-6  # spread over size: single precision keeps seven digits, and scores that say something spread by 1e-4 or more


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of one kind of query, larger for a better fit; ``target`` is the place in the gallery of the image shown."""

    __repr__ = brief

    scores: Scores
    target: Int[np.ndarray, "query"]
    stimulus_id: Int[np.ndarray, "gallery"]


@dataclass(frozen=True, eq=False)
class DecoderScores:
    """How one decoder scored the test images by kind of query, or the reason why it could not.

    ``chosen`` holds hyperparameters that validation chose, and whatever else the decoder reports of its fit.
    """

    __repr__ = brief

    decoder: str
    preset: str
    reads: Reads
    scored: Mapping[QueryKind, Scored] = field(default_factory=dict)
    reason: Mapping[QueryKind, str] = field(default_factory=dict)
    chosen: Mapping[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write ``retrieval_<decoder>.nc``, atomically."""
        variables: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
        for kind, scored in self.scored.items():
            query, gallery = f"query_{kind}", f"gallery_{kind}" if self.reads == "templates" else "gallery"
            variables |= {f"scores_{kind}": ((query, gallery), scored.scores), f"target_{kind}": ((query,), scored.target)}
            variables["stimulus_id" if gallery == "gallery" else f"stimulus_id_{kind}"] = ((gallery,), scored.stimulus_id)
        reasons = {f"reason_{kind}": self.reason.get(kind, "") for kind in QUERY_KINDS}
        attributes = {"decoder": self.decoder, "preset": self.preset, "reads": self.reads, **reasons}
        chosen = json.dumps(self.chosen, sort_keys=True, ensure_ascii=False)
        write_dataset(path, xr.Dataset(variables, attrs={**attributes, "chosen": chosen}))

    @classmethod
    def read(cls, path: Path) -> "DecoderScores":
        """Read what `write` wrote.

        Raises
        ------
        DataError
            If the file is not as it was written.
        """
        try:
            dataset = xr.load_dataset(path, engine="h5netcdf")
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise DataError(f"{path} is damaged ({error}). Run the study again.") from error
        return cls.from_dataset(dataset, path)

    @classmethod
    def from_dataset(cls, dataset: xr.Dataset, path: Path) -> "DecoderScores":
        """Return the scores that a file holds; ``path`` is for messages.

        Raises
        ------
        DataError
            If it does not hold what `write` writes.
        """
        try:
            return cls._of(dataset)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} is damaged ({error}). Run the study again.") from error

    @classmethod
    def _of(cls, dataset: xr.Dataset) -> "DecoderScores":
        attributes = dataset.attrs
        scored: dict[QueryKind, Scored] = {}
        for kind in QUERY_KINDS:
            if f"scores_{kind}" in dataset:
                ids = dataset[f"stimulus_id_{kind}" if f"stimulus_id_{kind}" in dataset else "stimulus_id"]
                scored[kind] = Scored(dataset[f"scores_{kind}"].to_numpy(), dataset[f"target_{kind}"].to_numpy(), ids.to_numpy())
        return cls(
            decoder=str(attributes["decoder"]),
            preset=str(attributes["preset"]),
            reads=cast(Reads, str(attributes["reads"])),
            scored=scored,
            reason={kind: str(attributes[f"reason_{kind}"]) for kind in QUERY_KINDS if attributes[f"reason_{kind}"]},
            chosen=json.loads(str(attributes["chosen"])),
        )


def fit_and_score(
    name: str, preset: str, make: Callable[[], Decoder], parts: SplitPairs, reads: Reads = "images"
) -> tuple[DecoderScores, Decoder | None]:
    """Fit a decoder to training and validation pairs alone, and score every kind of query with it.

    If ``make`` or the fit refuses the data with a `DataError`, the scores hold the reason and the decoder is None. ``reads`` says
    what a decoder that is no rival would have read; it is needed only then.
    """
    try:
        decoder = make().fit(parts.train, parts.validation)
    except DataError as error:
        log.warning("%s cannot be fitted: %s", name, error)
        read = RIVALS[name].reads if name in RIVALS else reads
        return DecoderScores(name, preset, read, reason=dict.fromkeys(QUERY_KINDS, str(error))), None
    scored, reason = score_test(decoder, parts.test)
    for warning in {collapse_of(name, one.scores) for one in scored.values()} - {""}:
        log.warning("%s", warning)
    chosen = cast(Mapping[str, Any], getattr(decoder, "chosen", {}))
    return DecoderScores(name, preset, decoder.reads, scored, reason, chosen), decoder


def collapse_of(name: str, scores: Scores) -> str:
    """Return a warning where scores have collapsed, so that ranks are at chance; else "".

    What is left of them without the means of single queries and of single candidates is then no more than rounding: they do not
    tell which response belongs to which image. So do towers that map all images, or all responses, to one place.
    """
    size = float(np.abs(scores).max(initial=0))
    apart = scores - scores.mean(axis=1, keepdims=True, dtype=np.float64)
    spread = float((apart - apart.mean(axis=0)).std())
    if min(scores.shape) < 2 or not spread <= COLLAPSED * size:
        return ""
    return (
        f"The scores of {name} have collapsed: apart from what is the same for every image or every response they vary by"
        f" {spread:.1g}, with scores up to {size:.1g}. All its ranks are chance. Training failed, or the responses say nothing."
    )


def score_test(decoder: Decoder, test: Pairs) -> tuple[dict[QueryKind, Scored], dict[QueryKind, str]]:
    """Score averaged responses and single trials of the test images; what cannot be scored gets a reason."""
    scored: dict[QueryKind, Scored] = {}
    reason: dict[QueryKind, str] = {}
    for kind in QUERY_KINDS:
        try:
            scored[kind] = _score_templates(decoder, test, kind) if decoder.reads == "templates" else _score(decoder, test, kind)
        except DataError as error:
            reason[kind] = str(error)
    return scored, reason


def _score(decoder: Decoder, test: Pairs, kind: QueryKind) -> Scored:
    task = make_task(test, kind)
    scores = task.gallery.tie_copies(decoder.score(task.queries, task.gallery))
    return Scored(scores, task.target, task.gallery.stimulus_id)


def _score_templates(decoder: Decoder, test: Pairs, kind: QueryKind) -> Scored:
    """Match each repeat to the others; queries are put back in order of presentation, as all other decoders have them."""
    if kind == "averaged":
        if len(test.stimulus_index) == test.n_stimuli:
            raise DataError("Each image has one response, so no other is left that would serve as a template.")
        raise DataError("The average uses up the other repeats, which would serve as templates.")
    tasks = make_template_tasks(test)
    scores = np.concatenate([decoder.score(task.queries, task.gallery) for task in tasks])
    target = np.concatenate([task.target for task in tasks])
    number, counts = test.repeat_number(), np.bincount(test.stimulus_index, minlength=test.n_stimuli)
    queries = [np.flatnonzero((number == repeat) & (counts[test.stimulus_index] >= 2)) for repeat in range(len(tasks))]
    order = np.argsort(np.concatenate(queries))
    return Scored(scores[order], target[order], tasks[0].gallery.stimulus_id)
