"""Scores that tell nothing of images and responses are at chance, and the log and the summary, whose warnings stand on the page, say so."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from dina.data.pairs import Gallery, Pairs, Queries
from dina.recordings.recording import Recording
from dina.rivals.ridge import Ridge
from dina.shapes import Scores
from dina.study import StudySettings, run_study
from dina.study.decoder_scores import collapse_of

GENERATOR = np.random.default_rng(0)
ROWS, COLUMNS, BOTH = (GENERATOR.standard_normal(shape) for shape in ((6, 1), (1, 8), (6, 8)))


@pytest.mark.parametrize(
    ("scores", "is_collapsed"),
    [
        (np.zeros((6, 8)), True),
        (np.full((6, 8), 1e4, np.float32) + np.float32(1e-3) * BOTH.astype(np.float32), True),  # rounding alone
        (np.repeat(ROWS, 8, axis=1), True),  # the same for every image
        (np.repeat(COLUMNS, 6, axis=0), True),  # the same for every response
        (ROWS + COLUMNS, True),
        (ROWS + COLUMNS + 1e-4 * BOTH, False),
        (1e4 + BOTH.astype(np.float32), False),
        (BOTH[:1], False),  # of a single response it cannot be told
    ],
)
def test_collapse_is_what_is_the_same_for_every_image_or_every_response(scores: Scores, is_collapsed: bool) -> None:
    assert bool(collapse_of("dina", scores)) == is_collapsed


def test_a_collapsed_decoder_is_at_chance_and_named_in_log_and_summary(
    small_session: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def same(self: Ridge, queries: Queries, gallery: Gallery) -> Scores:
        return np.zeros((len(queries.responses), len(gallery.images)))

    def learn_nothing(self: Ridge, train: Pairs, validation: Pairs) -> Ridge:
        return self

    monkeypatch.setattr(Ridge, "score", same)
    monkeypatch.setattr(Ridge, "fit", learn_nothing)
    settings = StudySettings(decoders=("ridge",), evaluation={"n_resamples": 100}, response_transform="identity")
    with caplog.at_level(logging.WARNING, "dina"):
        run_study(small_session, settings, tmp_path / "run")
    said = "The scores of ridge have collapsed: "
    assert [record.getMessage().startswith(said) for record in caplog.records].count(True) == 1
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert [warning for warning in summary["warnings"] if warning.startswith(said)]
    assert all(row["top1"] == pytest.approx(row["chance_top1"]) for row in summary["decoding"])
