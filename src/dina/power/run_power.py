"""Forecasts of a finished run, kept in it: what was measured of its recording, and accuracies and sizes that follow from it."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd

from dina.analyses import ANALYSES, RULES
from dina.analyses.decoded import KeptParts
from dina.artifacts import write_dataset, write_json, write_text
from dina.checks import DataError
from dina.power.forecast import AXES, MOST, Pilot, foretell, size_needed
from dina.power.held_out import PowerSettings, measure_pilot
from dina.power.verdict_forecast import StudyAtHand, foretell_verdicts
from dina.recordings.recording import Recording
from dina.safe_words import table_text
from dina.study.environment import Timings, fixed_threads
from dina.study.interpret import read_all, read_decoded
from dina.study.run_directory import RESULTS, Run, read_finished
from dina.study.unfinished_run import PARTS, locked
from dina.version import __version__

MEASURED, FORETOLD, TABLE = f"{RESULTS}/power.nc", f"{RESULTS}/power.json", f"{RESULTS}/power.csv"
TIMES = (1.0, 2.0, 4.0)


def forecast_run(
    run: Path,
    recording: Recording | None,
    accuracy: float = 0.9,
    gallery: int = 50,
    queries: str = "averaged",
    settings: PowerSettings = PowerSettings(),
    device: str = "cpu",
    n_threads: int = 1,
    *,
    force: bool = False,
) -> dict[str, Any]:
    """Foretell what more images, neurons or repeats would give, and keep it in a finished run.

    What the forecast rests on is measured once, fit by fit, and kept; other accuracies and galleries then take a moment.

    Parameters
    ----------
    run, recording
        A finished run of one split of one recording, and the recording; None if the run was measured before.
    accuracy, gallery, queries
        To reach, among so many candidates, with "averaged" responses or a "single_trial".
    settings
        How the recording is cut up.
    device, n_threads
        Where and with how many threads to compute.
    force
        Whether the recording is measured again.

    Returns
    -------
    foretold
        Content of ``results/power.json``.

    Raises
    ------
    DataError
        If the run is not finished, the recording is missing or another one, or it has too few images; if the accuracy is no
        fraction between chance and 1.
    """
    content = read_finished(run)
    if not 1 / gallery < accuracy < 1:
        raise DataError(
            f"An accuracy to reach must lie between chance, {1 / gallery:.3g}, and 1; got {accuracy}. Give 0.9 for 90 %."
        )
    if force or is_unmeasured(content, settings):
        if recording is None:
            raise DataError(f"A forecast of {run} needs the recording once. Give the one that was studied.")
        _measure(content, recording, settings, device, n_threads)
        content = read_finished(run)
    measured = content.read_dataset(MEASURED, ("by_half", "gallery", "n_images", "n_neurons", "n_repeats"))
    assert measured is not None
    pilot = Pilot.from_dataset(measured)
    if queries not in pilot.by_image:
        raise DataError(f"This recording cannot tell about {queries} queries. Choose from: {', '.join(pilot.by_image)}.")
    found = _foretell(content, pilot, accuracy, gallery, queries)
    found["verdicts"] = foretell_verdicts(RULES, study_at_hand(content, pilot.n_neurons))
    with content.files.writing() as place:
        write_json(place(FORETOLD), found)
        write_text(place(TABLE), table_text(pd.DataFrame(found["forecasts"])))
    return found


def is_unmeasured(run: Run, settings: PowerSettings = PowerSettings()) -> bool:
    """Say whether the recording must still be cut up and decoded in this way."""
    known = run.read_dataset(MEASURED)
    return known is None or known.attrs.get("settings") != settings.model_dump_json()


def study_at_hand(run: Run, n_neurons: int) -> StudyAtHand:
    """Return what a finished run holds of its analyses, and how many images and neurons they rest on."""
    records = read_all(run.path)
    findings = {name: {each.name: each for each in one.findings} for name, one in records.items() if one.reason is None}
    missing = {name: one.reason for name, one in records.items() if one.reason is not None}
    at_most = images_read({name: one.settings for name, one in records.items()})
    return StudyAtHand(findings, missing, run.summary["split"]["n_test"], n_neurons, at_most)


def images_read(changed: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Return how many test images each analysis reads at most, by its settings that are not the defaults."""
    kinds = {name: row.settings_type for name, row in ANALYSES.items()}
    named = {name: kind for name, kind in kinds.items() if kind is not None and "n_images" in kind.model_fields}
    return {name: int(kind(**changed.get(name, {})).model_dump()["n_images"]) for name, kind in named.items()}


def _measure(run: Run, recording: Recording, settings: PowerSettings, device: str, n_threads: int) -> None:
    with locked(run.path), fixed_threads(n_threads), Timings(run.path).of("power"):
        decoded = read_decoded(run.path, recording, device)
        words = json.dumps([__version__, device, settings.model_dump()], sort_keys=True)
        parts = run.path / PARTS / "power"
        kept = KeptParts(parts / hashlib.sha256(words.encode()).hexdigest()[:16])
        pilot = measure_pilot(replace(decoded, parts=kept), settings)
        with run.files.writing() as place:
            write_dataset(place(MEASURED), pilot.to_dataset().assign_attrs(settings=settings.model_dump_json()))
        shutil.rmtree(parts, ignore_errors=True)  # only now: the result is on disk


def _foretell(run: Run, pilot: Pilot, accuracy: float, gallery: int, queries: str) -> dict[str, Any]:
    """Return forecasts for more of each, and how much more reaches the accuracy; both relative to the study at hand."""
    split = run.summary["split"]
    more = split["n_train"] / pilot.n_images
    known = [axis for axis in AXES if axis in pilot.by_image[queries]]
    wanted = [("as it is", dict.fromkeys(known, 1.0))]
    wanted += [(f"{times:g} times the {axis}", {axis: times}) for axis in known for times in TIMES[1:]]
    wanted += [("twice of each" if len(known) == len(AXES) else f"twice the {' and '.join(known)}", dict.fromkeys(known, 2.0))]
    forecasts = []
    for name, times in wanted:
        n_test = max(2, round(split["n_test"] * times.get("images", 1.0)))
        one = foretell(pilot, {**times, "images": more * times.get("images", 1.0)}, n_test, gallery, queries)
        forecasts.append({"study": name, **asdict(one)})
    needed = {}
    for axis in known:
        start = {} if axis == "images" else {"images": more}
        found = size_needed(pilot, accuracy, axis, gallery, queries, start)
        scale = more if axis == "images" else 1.0
        have = split["n_train"] if axis == "images" else pilot.sizes[axis]
        needed[axis] = {
            name: None if times is None else times / scale for name, times in zip(("times", "times_sure"), found, strict=True)
        }
        needed[axis]["has"] = have
    content = {"accuracy": accuracy, "gallery": gallery, "queries": queries, "forecasts": forecasts, "needed": needed}
    return {
        **content,
        "measured": {**pilot.sizes, "gallery": pilot.gallery, "test images": split["n_test"]},
        "sentence": say_needed(content),
    }


def say_needed(found: Mapping[str, Any]) -> str:
    """Return how much more of each reaches the accuracy, in one sentence; the smaller number is foretold, the larger is rather sure."""
    parts = []
    never = [axis for axis, one in found["needed"].items() if one["times"] is None]
    for axis, one in found["needed"].items():
        if axis in never:
            continue
        sure = (
            f"{_number(one['times_sure'] * one['has'])} to be rather sure"
            if one["times_sure"] is not None
            else f"never sure up to {MOST:g} times as many"
        )
        parts.append(f"{_number(one['times'] * one['has'])} {axis} instead of {_number(one['has'])} ({sure})")
    kind = "averaged responses" if found["queries"] == "averaged" else "single trials"
    goal = f"{100 * found['accuracy']:.3g}\u202f% of the images among {found['gallery']} from {kind}"
    said = [f"To find {goal}: {'; or '.join(parts)}."] if parts else []
    if never:
        more = f"More {' or more '.join(never)} alone, up to {MOST:g} times as many, would not reach"
        said.append(f"{more} {'this' if said else goal}.")
    return f"{' '.join(said)} Images are those to learn from."


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
