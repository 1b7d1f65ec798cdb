"""A study of several recordings together: one image tower for all, each alone beside it, and each joining the others."""

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from dina import __version__
from dina.analyses.across_recordings import explain_guesses, mouse_of
from dina.artifacts import write_dataset, write_json, write_text
from dina.checks import DataError
from dina.data.near_duplicates import group_near_identical, merge_groups
from dina.data.splits import split_by_stimulus
from dina.progress import track
from dina.randomness import seed_for
from dina.recordings.recording import Recording
from dina.statistics.finding import Finding
from dina.study.environment import describe_environment, fixed_threads
from dina.study.joint_fits import fit_alone, fit_joining, fit_together
from dina.study.joint_rounds import Round, read_rounds
from dina.study.joint_settings import JointSettings
from dina.study.joint_statistics import JointStatistics, RecordingRounds, joint_statistics
from dina.study.joint_updates import describe_updates
from dina.study.run_directory import check_whole
from dina.study.settings_file import to_toml
from dina.study.unfinished_run import is_finished, open_run

log = logging.getLogger("dina.study")


def run_joint_study(
    recordings: Sequence[Recording],
    settings: JointSettings,
    out: Path,
    device: str = "cpu",
    n_threads: int = 1,
    *,
    force: bool = False,
) -> dict[str, Any]:
    """Fit several recordings together, alone, and each joining the others; write what came of it to a run directory.

    Work goes to ``OUT.partial``, where fits are kept as soon as they are done (what one recording gains by joining: all sizes
    together), and the same call goes on from there. If ``out`` holds this very study, finished, nothing is computed.

    Parameters
    ----------
    recordings
        At least two, with different names, of one image set and images of one size. The first one's weights are drawn first:
        in another order it is another study.
    settings
        From `dina.study.joint_settings.read_joint_settings`.
    out
        The directory to write.
    device
        "cpu" or "cuda".
    n_threads
        Threads of numpy and torch.
    force
        Whether another study at ``out`` may be replaced.

    Returns
    -------
    summary
        Content of ``summary.json``.

    Raises
    ------
    DataError
        If the recordings cannot be split together, ``out`` is taken, or a file in it was changed or lost.
    """
    _check(recordings)
    identity = {
        # a list: a mapping would forget their order, on which weights and turns depend
        "recordings": [_identify(recording) for recording in recordings],
        "settings": settings.model_dump(mode="json"),
        "environment": describe_environment(device, n_threads),
    }
    if is_finished(out, identity) and not force:
        check_whole(out)
        log.info("%s holds this very study, finished; nothing is computed again.", out)
        summary: dict[str, Any] = json.loads((out / "summary.json").read_text(encoding="utf-8"))
        return summary
    with fixed_threads(n_threads), open_run(out, identity, force=force) as folder:
        write_text(folder / "study.toml", to_toml(settings.model_dump(mode="json")))
        write_json(folder / "environment.json", identity["environment"])
        rounds = _rounds(recordings, settings, folder)
        _carry_out(recordings, settings, rounds, device, folder)
        kept = _read(recordings, rounds, folder)
        found = _statistics(kept, settings, folder)
        summary = _summary(recordings, settings, rounds, found) | {"updates": describe_updates(kept)}
        write_json(folder / "summary.json", summary)
    return summary


def _identify(recording: Recording) -> list[str]:
    known = [recording.name, recording.fingerprint()]
    return known if recording.animal is None else [*known, recording.animal]


def _check(recordings: Sequence[Recording]) -> None:
    names = [recording.name for recording in recordings]
    if len(names) < 2 or len(set(names)) < len(names):
        raise DataError(
            f"A joint study needs at least two recordings with different names; got {', '.join(names) or 'none'}."
            " Give further recordings that show the same images."
        )


def _rounds(recordings: Sequence[Recording], settings: JointSettings, folder: Path) -> list[Round]:
    """Draw the split of every fold, jointly for all recordings, and list what is to be fitted."""
    group = _group_images(recordings, settings.split.near_identical)
    fractions = (settings.split.validation_fraction, settings.split.test_fraction)
    rounds = []
    for fold in range(settings.n_folds):
        seed = settings.seed if fold == 0 else seed_for(settings.seed, f"fold {fold}")
        split = split_by_stimulus(recordings, group, seed, *fractions)
        parts = {name: getattr(split, name).tolist() for name in ("train", "validation", "test")}
        write_json(folder / f"split_fold{fold}.json", {"seed": split.seed, "sha256": split.sha256(), **parts})
        repeats = range(settings.n_seeds)
        rounds += [
            Round(fold, repeat, split, settings.seed if repeat == 0 else seed_for(settings.seed, f"training {repeat}"))
            for repeat in repeats
        ]
    return rounds


def _group_images(recordings: Sequence[Recording], threshold: float) -> Int[np.ndarray, "stimulus"]:
    """Group images that are near-identical in any recording: one image set has other pixels under another condition."""
    # most recordings hold the same pixels, and grouping them takes a while
    different = {hashlib.sha256(np.ascontiguousarray(each.images).data).digest(): each.images for each in recordings}
    return merge_groups([group_near_identical(images, threshold) for images in different.values()])


def _carry_out(
    recordings: Sequence[Recording], settings: JointSettings, rounds: Sequence[Round], device: str, folder: Path
) -> None:
    """Do every fit that is not there yet: together first, then recording by recording."""
    detail: dict[str, str] = {}
    for each in track(rounds, "Folds and seeds"):
        fit_together(recordings, settings, each, device, folder)
        for recording in track(recordings, "Recordings alone and joining", detail=detail):
            detail["recording"] = recording.name
            # recordings of one animal may hold the same neurons: none of them may teach about a new one
            mouse = mouse_of(recording.name, recording.animal)
            others = [other for other in recordings if mouse_of(other.name, other.animal) != mouse]
            fit_alone(recording, recordings, settings, each, device, folder)
            if settings.sizes:
                fit_joining(recording, others, settings, each, device, folder)


def _read(recordings: Sequence[Recording], rounds: Sequence[Round], folder: Path) -> list[RecordingRounds]:
    kept = []
    for r in recordings:
        joint, alone, joining = (read_rounds(rounds, folder, kind, r.name) for kind in ("joint", "alone", "joining"))
        kept.append(RecordingRounds(r.name, joint, alone, joining, r.animal))
    return kept


def _statistics(kept: Sequence[RecordingRounds], settings: JointSettings, folder: Path) -> JointStatistics:
    found = joint_statistics(kept, settings.seed, settings.evaluation.n_resamples)
    results = folder / "results"
    if found.across is not None:
        write_dataset(results / "across_recordings.nc", found.across.to_dataset())
    write_dataset(results / "alignment.nc", found.alignment)
    write_dataset(results / "p_values.nc", found.p_values)
    return found


def _summary(
    recordings: Sequence[Recording], settings: JointSettings, rounds: Sequence[Round], found: JointStatistics
) -> dict[str, Any]:
    """Return all numbers; null with a reason where something cannot be computed."""

    def told(findings: Sequence[Finding]) -> list[dict[str, Any]]:
        return [finding.to_json() for finding in findings]

    p_values = found.p_values
    return {
        "dina_version": __version__,
        "preset": settings.preset,
        "recordings": [
            {
                "name": r.name,
                "animal": r.animal,
                "mouse": found.mice[r.name],
                "condition": r.condition,
                "is_simulated": r.is_simulated,
                "n_neurons": r.n_neurons,
                "n_trials": r.n_trials,
                "sha256": r.fingerprint(),
                "findings": told(found.by_recording[r.name]),
            }
            for r in recordings
        ],
        "animals_from_names": explain_guesses({r.name: r.animal for r in recordings}),
        "splits": [{"fold": c.fold, "sha256": c.split.sha256(), "n_test": len(c.split.test)} for c in rounds if c.repeat == 0],
        "over_mice": [] if found.across is None else told(found.across.combined),
        "gains": [
            {
                "name": str(name),
                **{key: _number(p_values[key].sel(name=name).item()) for key in ("p_over_mice", "q_over_mice")},
                **{
                    key: {str(r): _number(p_values[key].sel(name=name, recording=r).item()) for r in p_values["recording"].values}
                    for key in ("p_over_images", "q_over_images")
                },
            }
            for name in p_values["name"].values
        ],
        "variance_components": told(found.components),
        "alignment": [
            {"maps": kind, "recording": one, "other": other, **finding.to_json()}
            for (kind, one, other), finding in found.alignment_findings.items()
        ],
    }


def _number(value: float) -> float | None:
    return float(value) if value == value else None
