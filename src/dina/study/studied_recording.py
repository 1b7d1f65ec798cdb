"""What identifies a recording in a run: what it holds, not what it is called; also as earlier versions wrote it."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dina.checks import DataError
from dina.recordings.recording import Recording
from dina.study.run_directory import SUMMARY, Run

_PARTS = ("images", "stimulus_id", "responses", "n_presentations", "covariates")
_WORDS = {"stimulus_id": "stimulus ids", "n_presentations": "numbers of presentations"}


def identify(recording: Recording, out: Path | None) -> dict[str, str | float] | str:
    """Return a SHA-256 of each part of a recording that numbers follow from, and its grey and scale.

    Where a run of an earlier version at ``out`` studied this recording, what that run says of it is returned.
    """
    run = _find(out)
    kept = None if run is None else run.identity.get("recording")
    if run is not None and isinstance(kept, str):
        earlier = _earlier_fingerprints(recording, run)
        return kept if kept in earlier else earlier[0]
    sums = {name: hashlib.sha256(np.ascontiguousarray(values).data).hexdigest() for name, values in _arrays(recording).items()}
    return {**sums, "mid_grey": float(recording.mid_grey), "contrast_scale": float(recording.contrast_scale)}


def identify_together(recordings: Sequence[Recording], out: Path | None) -> list[list[Any]]:
    """Return name, fingerprint and animal of each recording, as `identify` does; a mapping would forget their order, which matters."""
    run = _find(out)
    kept = str([] if run is None else run.identity.get("recordings"))
    parts = []
    for recording in recordings:
        earlier = [] if run is None else _earlier_fingerprints(recording, run)
        mark = next((one for one in earlier if one in kept), recording.fingerprint())
        parts.append([part for part in (recording.name, mark, recording.animal) if part is not None])
    return parts


def refuse_another(recording: Recording, run: Run) -> None:
    """Refuse a recording that is not the one that a finished run studied.

    Raises
    ------
    DataError
        If it is another one; the message names the parts that differ.
    """
    kept, now = run.identity.get("recording"), identify(recording, run.path)
    if kept == now:
        return
    differing = "a run of an earlier version does not say which part differs"
    if isinstance(kept, Mapping) and isinstance(now, Mapping):
        parts = [_WORDS.get(name, name.replace("_", " ")) for name in {**kept, **now} if kept.get(name) != now.get(name)]
        differing = "they differ in " + (f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else f"{parts[0]} alone")
    advice = "Give the one that was studied."
    if recording.is_simulated:
        ran = run.environment
        advice = (
            "Last digits of simulated sessions follow from threads and versions: the study had --threads"
            f" {ran.get('n_threads', 'unknown')}, dina {ran.get('dina', 'unknown')} and torch {ran.get('torch', 'unknown')}. Use these."
        )
    raise DataError(f"{recording.name} is not the recording that {run.path} studied: {differing}. {advice}")


def _find(out: Path | None) -> Run | None:
    """Return the finished or unfinished run at a place; None where there is none or its identity cannot be read."""
    for folder in () if out is None else (out, out.with_name(f"{out.name}.partial")):
        try:
            if Run(folder).identity:
                return Run(folder)
        except DataError:
            return None  # whoever opens the run says what is wrong
    return None


def _earlier_fingerprints(recording: Recording, run: Run) -> list[str]:
    """Return what versions up to 0.2.0 may have said of this recording, first under its present words.

    They counted condition and image set; where nobody stated these, they were "natural" and the name of the recording.
    """
    digest = hashlib.sha256()
    for array in _arrays(recording).values():
        digest.update(np.ascontiguousarray(array).data)
    known = run.summary.get("recording", {}) if SUMMARY in run.files else {}
    found = []
    for condition in (recording.condition or "natural", known.get("condition")):
        for image_set in (recording.image_set, known.get("name")):
            whole = digest.copy()
            whole.update(repr((condition, image_set, recording.mid_grey, recording.contrast_scale)).encode())
            found.append(whole.hexdigest())
    return found


def _arrays(recording: Recording) -> dict[str, np.ndarray]:
    return {name: values for name in _PARTS if (values := getattr(recording, name)) is not None}
