"""CEBRA as a rival, in an interpreter of its own: responses mapped so that trials of similar images come together."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32

from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries
from dina.randomness import generator_for, seed_for
from dina.retrieval.decoder import Candidate
from dina.rivals.image_components import GaborComponents
from dina.rivals.ridge import Ridge
from dina.rivals.validated_decoder import ValidatedDecoder
from dina.shapes import Scores

# Environment variable that names the Python in which CEBRA is installed.
INTERPRETER = "DINA_CEBRA_PYTHON"

# Deviations, in those of a feature, within which CEBRA looks for similar images; tried on the validation images, times
# the twenty readouts of `Ridge`. The first finds hardly more than the other trials of an image, the second other images.
NEIGHBOURHOODS = (0.3, 1.0)

N_FEATURES = 32
# Keeps apart the features of two trials of one image: of equal ones CEBRA would always take the first.
JITTER = 0.01

SETTINGS: dict[str, Any] = {
    "batch_size": 512,
    "learning_rate": 1e-3,
    "temperature": 0.1,
    "max_iterations": 300,
    "num_hidden_units": 128,
    "output_dimension": 64,
}
LONGEST_RUN_S = 600


class Cebra(ValidatedDecoder):
    """CEBRA supervised by image features, then ridge regression from its map of the response to image components.

    CEBRA pulls the maps of two trials together if the features of their images are alike. It runs in the Python that the
    environment variable ``DINA_CEBRA_PYTHON`` names (this one, if CEBRA is installed here), so that its dependencies never bind
    ours, and exchanges files in a temporary folder.

    Parameters
    ----------
    seed
        Of CEBRA's weights and batches, and of the folds of the readout.
    interpreter
        Python in which ``import cebra`` works; None for the one that the environment variable names.

    References
    ----------
    Schneider, Lee & Mathis (2023), Nature 617:360. https://doi.org/10.1038/s41586-023-06031-6. They decode movies by
    nearest neighbours among training frames; candidates here were never shown, so that a readout takes their place.
    """

    def __init__(self, seed: int = 0, interpreter: str | None = None) -> None:
        super().__init__("cebra")
        self.seed = seed
        self.interpreter = interpreter

    def candidates(self, train: Pairs, validation: Pairs) -> Iterator[Candidate["_Mapped"]]:
        """Yield CEBRA trained on single trials with every neighbourhood, and the readout of its maps of averages.

        Raises
        ------
        DataError
            If there is no interpreter with CEBRA, or CEBRA fails.
        """
        interpreter = self._find_interpreter()
        features = GaborComponents.learn(train.images, min(N_FEATURES, train.n_stimuli - 1)).encode(train.images)
        of_trials = features[train.stimulus_index]
        jitter = generator_for(self.seed, "cebra features").standard_normal(of_trials.shape)
        of_trials = (of_trials + JITTER * jitter).astype(np.float32)
        averages = np.concatenate([train.averaged(), validation.averaged()])
        gallery = Gallery(validation.images, validation.stimulus_id)
        for neighbourhood in NEIGHBOURHOODS:
            seed = seed_for(self.seed, f"cebra {neighbourhood}") % 2**31
            settings = {**SETTINGS, "seed": seed, "delta": neighbourhood}
            with TemporaryDirectory(prefix="dina-cebra-") as folder:
                np.save(Path(folder) / "responses.npy", train.responses)
                np.save(Path(folder) / "features.npy", of_trials)
                (Path(folder) / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
                mapped = _run(interpreter, "fit", Path(folder), averages)
                model = (Path(folder) / "model.pt").read_bytes()
            inside, outside = (
                _of_averages(pairs, rows)
                for pairs, rows in ((train, mapped[: train.n_stimuli]), (validation, mapped[train.n_stimuli :]))
            )
            readout = Ridge(self.seed, predicts="gabors").fit(inside, outside)
            scores = readout.score(Queries(outside.responses, outside.total_presentations()), gallery)
            yield Candidate(_Mapped(interpreter, model, readout), {"neighbourhood": neighbourhood}, scores)

    def _find_interpreter(self) -> str:
        """Return the Python that has CEBRA, or say how to get one."""
        found = self.interpreter or os.environ.get(INTERPRETER) or (sys.executable if importlib.util.find_spec("cebra") else "")
        if not found:
            raise DataError(
                "CEBRA runs in a Python environment of its own, and none was named. Install cebra into one and set"
                f" {INTERPRETER} to its python, or leave the decoder cebra out."
            )
        if not Path(found).is_file():
            raise DataError(f"{INTERPRETER} must name a Python interpreter; {found} is no file. Correct the path.")
        return found


@dataclass(frozen=True, eq=False)
class _Mapped:
    """CEBRA's own file of the trained model, which only CEBRA reads, and the readout of its maps."""

    interpreter: str
    model: bytes
    readout: Ridge

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        with TemporaryDirectory(prefix="dina-cebra-") as folder:
            (Path(folder) / "model.pt").write_bytes(self.model)
            mapped = _run(self.interpreter, "map", Path(folder), np.asarray(queries.responses, dtype=np.float32))
        return self.readout.score(replace(queries, responses=mapped), gallery)


def _run(
    interpreter: str, what: Literal["fit", "map"], folder: Path, asked: Float32[np.ndarray, "query neuron"]
) -> Float32[np.ndarray, "query output"]:
    """Let the other interpreter work in ``folder``, and return how it maps ``asked``."""
    np.save(folder / "asked.npy", asked)
    # copied, so that no module beside the original can be imported in place of one of the other interpreter's
    worker = folder / "worker.py"
    worker.write_text(Path(__file__).with_name("cebra_worker.py").read_text(encoding="utf-8"), encoding="utf-8")
    command = [interpreter, str(worker), what, str(folder)]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=LONGEST_RUN_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"CEBRA could not be run: {error}. Check {INTERPRETER}, or leave the decoder cebra out.") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise DataError(
            f"CEBRA failed with exit code {done.returncode}: {said[0]}. Check that `import cebra` works in {interpreter}, or"
            " leave the decoder cebra out."
        )
    mapped: np.ndarray = np.load(folder / "mapped.npy", allow_pickle=False)
    if mapped.ndim != 2 or len(mapped) != len(asked) or not np.isfinite(mapped).all():
        raise DataError(
            f"CEBRA must return one finite row for each response; got shape {mapped.shape} for {len(asked)} responses. Its"
            " version may be too new or too old: try another, or leave the decoder cebra out."
        )
    return mapped


def _of_averages(pairs: Pairs, mapped: Float32[np.ndarray, "stimulus output"]) -> Pairs:
    """Return the same images with one mapped average response each."""
    weight = pairs.total_presentations().astype(np.int64)
    return replace(pairs, responses=mapped, stimulus_index=np.arange(pairs.n_stimuli), n_presentations=weight)
