"""Fit one decoder, score the test images with it once, and keep the scores; what cannot be done becomes a reason."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from dina.checks import DataError
from dina.data.pairs import QUERY_KINDS, Pairs, QueryKind, make_task, make_template_tasks
from dina.retrieval.decoder import Decoder
from dina.rivals import RIVALS
from dina.study.decoder_scores import DecoderScores, Scored

log = logging.getLogger("dina.study")


@dataclass(frozen=True, eq=False)
class Parts:
    """The three parts of a split; decoders learn from the first, choose by the second, and are tested once on the third."""

    train: Pairs
    validation: Pairs
    test: Pairs


def fit_and_score(name: str, preset: str, make: Callable[[], Decoder], parts: Parts) -> tuple[DecoderScores, Decoder | None]:
    """Fit a decoder and score every kind of query with it.

    Parameters
    ----------
    name, preset
        As in tables.
    make
        Makes the decoder; it, and the fit, may refuse the data with a `DataError`.
    parts
        Only training and validation pairs reach the fit.

    Returns
    -------
    scores
        With the reason in place of scores where the data do not allow them.
    decoder
        The fitted decoder, or None if it could not be fitted.
    """
    try:
        decoder = make().fit(parts.train, parts.validation)
    except DataError as error:
        log.warning("%s cannot be fitted: %s", name, error)
        return DecoderScores(
            name, preset, RIVALS[name].reads if name in RIVALS else "images", reason=dict.fromkeys(QUERY_KINDS, str(error))
        ), None
    scored, reason = score_test(decoder, parts.test)
    chosen = cast(Mapping[str, Any], getattr(decoder, "chosen", {}))
    return DecoderScores(name, preset, decoder.reads, scored, reason, chosen), decoder


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
    return Scored(decoder.score(task.queries, task.gallery), task.target, task.gallery.stimulus_id)


def _score_templates(decoder: Decoder, test: Pairs, kind: QueryKind) -> Scored:
    """Match each repeat to the others; queries are put back in order of presentation, as all other decoders have them."""
    if kind == "averaged":
        raise DataError("The average uses up the other repeats, which would serve as templates; see single trials.")
    tasks = make_template_tasks(test)
    scores = np.concatenate([decoder.score(task.queries, task.gallery) for task in tasks])
    target = np.concatenate([task.target for task in tasks])
    number, counts = test.repeat_number(), np.bincount(test.stimulus_index, minlength=test.n_stimuli)
    asked = [np.flatnonzero((number == repeat) & (counts[test.stimulus_index] >= 2)) for repeat in range(len(tasks))]
    order = np.argsort(np.concatenate(asked))
    return Scored(scores[order], target[order], tasks[0].gallery.stimulus_id)
