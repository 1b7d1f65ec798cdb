"""Runs whose images were shown once: the average of one trial is the trial, so that such a run is shown without averages."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property

import xarray as xr

from dina.data.pairs import QueryKind
from dina.retrieval.evaluate import DecodingRow
from dina.study.decoder_scores import DecoderScores, Scored
from dina.study.run_directory import Run


def as_shown(run: Run) -> Run:
    """Return a run as tables and pages show it: without averages where each of them is a single trial."""
    both = {
        row.decoder: {one.queries for one in run.rows if one.decoder == row.decoder and one.top1 is not None} for row in run.rows
    }
    return _ShownOnce(run.path) if was_shown_once(run) and all(kinds != {"averaged"} for kinds in both.values()) else run


def was_shown_once(run: Run) -> bool:
    """Say whether every image has one single presentation, so that its average is the trial itself."""
    recording = run.summary.get("recording", {})
    is_single = recording.get("n_presentations") in (None, recording.get("n_trials"))
    return is_single and recording.get("n_repeats_range") == [1, 1]


class _ShownOnce(Run):
    """A run whose averaged responses are left out: each is a single trial, which is there, too."""

    @cached_property
    def rows(self) -> tuple[DecodingRow, ...]:
        return tuple(row for row in super().rows if row.queries != "averaged")

    @cached_property
    def retrieval(self) -> dict[str, DecoderScores]:
        return {name: _without_averages(scores) for name, scores in super().retrieval.items()}

    def read_dataset(self, name: str, needed: Collection[str] = ()) -> xr.Dataset | None:
        found = super().read_dataset(name, needed)
        if found is None or "queries" not in found.dims:
            return found
        return found.sel(queries=[kind for kind in found["queries"].to_numpy() if kind != "averaged"])

    def fold(self, number: int) -> Run:
        return _ShownOnce(super().fold(number).path)


def _without_averages(scores: DecoderScores) -> DecoderScores:
    scored: Mapping[QueryKind, Scored] = {kind: one for kind, one in scores.scored.items() if kind != "averaged"}
    return replace(scores, scored=scored, reason={kind: one for kind, one in scores.reason.items() if kind != "averaged"})
