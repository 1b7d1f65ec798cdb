"""Every objective trains the same towers on the same images with the same budget; each fit is kept as a run."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import xarray as xr

from dina.analyses import Decoded
from dina.analyses.objectives.compute import ObjectiveComparison, compare_objectives
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
from dina.study.settings import read_settings
from dina.study.unfinished_run import safe_name
from dina.training.objectives import OBJECTIVES

PRESET = "scratch"
"""Learns both towers from the objective alone; from a closed form, objectives could change little."""

UNTRAINED = "untrained"
CONTENT = "with resamples of the profile"
"""What measurements hold; files of older content are made again."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ObjectivesStudy:
    """What came of all objectives.

    Parameters
    ----------
    comparison
        The numbers and the answer.
    reasons
        Objective → why it could not be trained, for those that could not.
    learning
        Objective → validation top-1 by epoch, of the first seed.
    """

    comparison: ObjectiveComparison
    reasons: Mapping[str, str]
    learning: Mapping[str, tuple[float, ...]]


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

    Each fit keeps the epoch with the lowest validation loss of its objective: chosen by retrieval, an objective that rewards
    none would be left at an accidental epoch.

    Parameters
    ----------
    recording
        Labels of its images are needed for everything about category.
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
        Whether what is there is replaced.

    Raises
    ------
    DataError
        If an objective is unknown, or none can be trained.
    """
    names = [check_choice("objective", name, OBJECTIVES) for name in (objectives or OBJECTIVES)]
    words = [
        f'preset="{PRESET}"',
        'decoders=["dina"]',
        'dina.fit.select_by="loss"',
        *([] if n_epochs is None else [f"dina.fit.n_epochs={n_epochs}"]),
        *overrides,
    ]
    reasons: dict[str, str] = {}
    pending = [(name, seed) for seed in seeds for name in names]
    questions = _Questions(recording, out, force=force)
    began, n_new = time.monotonic(), 0
    for number, (name, seed) in enumerate(pending):
        if name in reasons:  # what cannot be trained with one seed is not compared, and need not be said once more
            continue
        left = (time.monotonic() - began) / n_new * (len(pending) - number) / 60 if n_new else None
        log.info(
            "[%d of %d] %s, seed %d%s …",
            number + 1,
            len(pending),
            name,
            seed,
            "" if left is None else f"; about {left:.0f} min left",
        )
        settings = read_settings(None, [*words, f'dina.fit.objective="{name}"', f"seed={seed}"])
        run = out / "runs" / safe_name(f"{name}-seed{seed}")
        n_new += force or not run.exists()
        result = run_study(recording, settings, run, device, n_threads, force=force)
        if not (run / "model.safetensors").is_file():
            reasons[name] = str(next(row["reason"] for row in result.summary["decoding"]))
            continue
        with fixed_threads(n_threads):
            questions.measure(name, seed, run, device)
    if not any(all((name, seed) in questions.measured for seed in seeds) for name in names):
        raise DataError(f"No objective could be trained: {next(iter(reasons.values()))}")
    with fixed_threads(n_threads):
        whole = [name for name in (*names, UNTRAINED) if all((name, seed) in questions.measured for seed in seeds)]
        measured = {(name, seed): questions.measured[name, seed] for name in whole for seed in seeds}
        comparison = compare_objectives(measured, questions.responses)
    learning = {name: _learning(out / "runs" / safe_name(f"{name}-seed{seeds[0]}")) for name in names if name not in reasons}
    return ObjectivesStudy(comparison, reasons, learning)


class _Questions:
    """Measures fits, keeps each in a file, and prepares the question about category once for each seed.

    Parameters
    ----------
    recording
        That was studied.
    out
        Where ``measured/`` goes.
    force
        Whether files that are there are made again.
    """

    def __init__(self, recording: Recording, out: Path, *, force: bool) -> None:
        self.recording = recording
        self.folder = out / "measured"
        self.force = force
        self.measured: dict[tuple[str, int], xr.Dataset] = {}
        self.responses: dict[int, xr.Dataset] = {}
        self._asked: dict[int, CategorySurrogates | None] = {}

    def measure(self, name: str, seed: int, run: Path, device: str) -> None:
        """Measure one fit; the first of each seed also stands for towers that learnt nothing, and for the responses."""
        checksum = json.loads((run / "split.json").read_text(encoding="utf-8"))["sha256"]
        checksum += f"-{CONTENT}"
        key = f"{checksum}-{sha256_of(run / 'model.safetensors')}"
        wanted = [name] if (UNTRAINED, seed) in self.measured else [name, UNTRAINED, "responses"]
        keys = {one: key if one == name else checksum for one in wanted}
        # only what was there before is made again: this very call may go on from what it wrote itself
        kept = {one: None if self.force else self._kept(one, seed, keys[one]) for one in wanted}
        if any(found is None for found in kept.values()):
            decoded = read_decoded(run, self.recording, device)
            question = self._question(seed, decoded)
            makers = {
                name: lambda: measure_objective(decoded, question),
                UNTRAINED: lambda: measure_objective(replace(decoded, fitted=untrained(decoded.towers, seed)), question),
                "responses": lambda: xr.Dataset() if question is None else measure_responses(question),
            }
            for one in [one for one, found in kept.items() if found is None]:
                write_dataset(self._path(one, seed), makers[one]().assign_attrs(key=keys[one]))
                kept[one] = self._kept(one, seed, keys[one])
        for one, found in kept.items():
            assert found is not None  # it was just made
            if one != "responses":
                self.measured[one, seed] = found
            elif found.sizes:
                self.responses[seed] = found

    def _question(self, seed: int, decoded: Decoded) -> CategorySurrogates | None:
        if seed not in self._asked:
            try:
                self._asked[seed] = make_category_surrogates(decoded)
            except DataError as error:
                if None not in self._asked.values():  # once, not for every seed
                    log.warning("Nothing can be said about categories: %s", error)
                self._asked[seed] = None
        return self._asked[seed]

    def _path(self, name: str, seed: int) -> Path:
        return self.folder / f"{safe_name(name)}-seed{seed}.nc"

    def _kept(self, name: str, seed: int, key: str) -> xr.Dataset | None:
        path = self._path(name, seed)
        if not path.is_file():
            return None
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            found = opened.load()
        return found if found.attrs.get("key") == key else None


def _learning(run: Path) -> tuple[float, ...]:
    lines = (run / "history.csv").read_text(encoding="utf-8").splitlines()
    column = lines[0].split(",").index("validation_top1")
    return tuple(float(line.split(",")[column]) for line in lines[1:])
