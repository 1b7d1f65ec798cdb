"""Every objective trains the same towers on the same images with the same budget; each fit is kept as a run."""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import xarray as xr

from dina.analyses import Decoded
from dina.analyses.objectives.compute import ObjectivesStudy, compare_objectives
from dina.analyses.objectives.objective_measures import (
    CategorySurrogates,
    make_category_surrogates,
    measure_objective,
    measure_responses,
)
from dina.analyses.untrained import untrained
from dina.artifacts import sha256_of, write_dataset
from dina.checks import DataError, check_choice
from dina.recordings.recording import Recording
from dina.study.environment import fixed_threads
from dina.study.interpret import read_decoded
from dina.study.run import run_study
from dina.study.run_directory import TOWERS, Run
from dina.study.settings import read_settings
from dina.study.unfinished_run import safe_name
from dina.training.objectives import OBJECTIVES

# Learns both towers from the objective alone; from a closed form, objectives could change little.
PRESET = "scratch"

UNTRAINED = "untrained"
# The content of measurements; files of older content are made again.
CONTENT = "with resamples of the profile"

log = logging.getLogger(__name__)


def study_objectives(
    recording: Recording,
    out: Path,
    objectives: Sequence[str] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    n_epochs: int | None = None,
    device: str = "cpu",
    n_threads: int = 1,
    overrides: Sequence[str] = (),
    *,
    force: bool = False,
) -> ObjectivesStudy:
    """Train with every objective and seed what is not trained yet, measure, and compare.

    Each fit keeps the epoch with the lowest validation loss of its objective. If it were chosen by retrieval, an objective
    that does not reward retrieval would keep an accidental epoch.

    Parameters
    ----------
    recording
        Everything about category needs labels of its images.
    out
        Holds ``runs/`` (a run directory for each objective and seed) and ``measured/`` (one file for each).
    objectives
        Names in `OBJECTIVES`; None for all.
    seeds
        Of split, weights and all else.
    n_epochs
        Budget of every fit; None for what the preset prescribes.
    device, n_threads
        As in `dina.study.run_study`.
    overrides
        Further settings of all fits, such as ``split.test_fraction=0.2``.
    force
        Whether existing runs and measurements are replaced.

    Raises
    ------
    DataError
        If an objective is unknown, or none can be trained.
    """
    names = [check_choice("objective", name, OBJECTIVES) for name in (objectives or OBJECTIVES)]
    budget = [] if n_epochs is None else [f"dina.fit.n_epochs={n_epochs}"]
    shared = [f'preset="{PRESET}"', 'decoders=["dina"]', 'dina.fit.select_by="loss"', *budget, *overrides]
    runs = {(name, seed): out / "runs" / safe_name(f"{name}-seed{seed}") for seed in seeds for name in names}
    missing: dict[str, str] = {}
    measurements = _Measurements(recording, out / "measured", device, force=force)
    began, n_new = time.monotonic(), 0
    for number, ((name, seed), run) in enumerate(runs.items()):
        if name in missing:  # an objective that cannot be trained with one seed is not compared
            continue
        left = f"; about {(time.monotonic() - began) / n_new * (len(runs) - number) / 60:.0f} min left" if n_new else ""
        log.info("[%d of %d] %s, seed %d%s …", number + 1, len(runs), name, seed, left)
        settings = read_settings(None, [*shared, f'dina.fit.objective="{name}"', f"seed={seed}"])
        n_new += force or not run.exists()
        result = run_study(recording, settings, run, device, n_threads, force=force)
        if not (run / TOWERS).is_file():
            missing[name] = str(next(row["reason"] for row in result.summary["decoding"]))
            continue
        with fixed_threads(n_threads):
            measurements.add(name, seed, run)
    found = measurements.found
    whole = [name for name in (*names, UNTRAINED) if all((name, seed) in found for seed in seeds)]
    if not set(whole) & set(names):
        raise DataError(f"No objective could be trained: {next(iter(missing.values()))}")
    with fixed_threads(n_threads):
        measured = {(name, seed): found[name, seed] for name in whole for seed in seeds}
        comparison = compare_objectives(measured, measurements.responses)
    accuracies = {name: Run(runs[name, seeds[0]]).history["validation_top1"] for name in names if name not in missing}
    learning = {name: tuple(map(float, curve)) for name, curve in accuracies.items()}
    return ObjectivesStudy(recording.name, comparison, learning, missing)


class _Measurements:
    """Measures fits, keeps each measurement in a file, and makes the surrogates of category once for each seed.

    With ``force``, existing files are made again.
    """

    def __init__(self, recording: Recording, folder: Path, device: str, *, force: bool) -> None:
        self.recording, self.folder, self.device, self.force = recording, folder, device, force
        self.found: dict[tuple[str, int], xr.Dataset] = {}
        self.responses: dict[int, xr.Dataset] = {}
        self._surrogates: dict[int, CategorySurrogates | None] = {}

    def add(self, name: str, seed: int, run: Path) -> None:
        """Measure one fit; with the first of each seed, untrained towers and the responses, too."""
        key = f"{Run(run).split['sha256']}-{CONTENT}"
        keys = {name: f"{key}-{sha256_of(run / TOWERS)}"}
        if (UNTRAINED, seed) not in self.found:
            keys |= {UNTRAINED: key, "responses": key}
        stored = {one: None if self.force else self._read(one, seed, key) for one, key in keys.items()}
        if any(found is None for found in stored.values()):
            decoded = read_decoded(run, self.recording, self.device)
            surrogates = self._category_surrogates(seed, decoded)
            makers = {
                name: lambda: measure_objective(decoded, surrogates),
                UNTRAINED: lambda: measure_objective(replace(decoded, fitted=untrained(decoded.towers, seed)), surrogates),
                "responses": lambda: xr.Dataset() if surrogates is None else measure_responses(surrogates),
            }
            for one in [one for one, found in stored.items() if found is None]:
                write_dataset(self._path(one, seed), makers[one]().assign_attrs(key=keys[one]))
                stored[one] = self._read(one, seed, keys[one])
        for one, found in stored.items():
            if found is not None and one != "responses":
                self.found[one, seed] = found
            elif found is not None and found.sizes:
                self.responses[seed] = found

    def _category_surrogates(self, seed: int, decoded: Decoded) -> CategorySurrogates | None:
        if seed not in self._surrogates:
            try:
                self._surrogates[seed] = make_category_surrogates(decoded)
            except DataError as error:
                if None not in self._surrogates.values():  # once, not for every seed
                    log.warning("Nothing can be said about categories: %s", error)
                self._surrogates[seed] = None
        return self._surrogates[seed]

    def _path(self, name: str, seed: int) -> Path:
        return self.folder / f"{safe_name(name)}-seed{seed}.nc"

    def _read(self, name: str, seed: int, key: str) -> xr.Dataset | None:
        """Return a measurement stored under this key, None where there is none."""
        found = Run(self.folder).read_dataset(self._path(name, seed).name)
        return found if found is not None and found.attrs.get("key") == key else None
