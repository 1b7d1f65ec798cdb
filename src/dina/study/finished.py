"""A finished run as analyses take it: the same recording, the same split, and the towers that were fitted."""

import logging
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dina.analyses import Decoded
from dina.artifacts import sha256_of
from dina.checks import DataError
from dina.data.pairs import learn_standardiser, make_pairs
from dina.recordings.recording import Recording
from dina.study.dina_step import dina_settings
from dina.study.image_features import read_image_features
from dina.study.run_directory import SETTINGS, TOWERS, read_finished
from dina.study.settings import StudySettings, read_settings
from dina.study.unfinished_run import differences
from dina.training.aligned_towers import AlignedTowers
from dina.training.saved import load_towers

log = logging.getLogger("dina.study")
RESAMPLES_AT_MOST = 2000  # analyses resample many statistics each; 2,000 place the ends of a 95 % interval well enough


def read_decoded(run: Path, recording: Recording, device: str, others: tuple[Recording, ...] = ()) -> Decoded:
    """Put together again what a study had in hand when it ended.

    Parameters
    ----------
    run
        The directory of a finished study.
    recording
        The very recording that was studied.
    device
        "cpu" or "cuda".
    others
        Recordings of the same neurons under other conditions.

    Raises
    ------
    DataError
        If the run is not finished, or the recording is another one.
    """
    content = read_finished(run)
    identity = content.identity
    found = {"recording": recording.fingerprint()}
    if identity.get("recording") != found["recording"]:
        changes = differences({"recording": identity.get("recording")}, found)
        raise DataError(f"{recording.name} is not the recording that {run} studied ({changes}). Give the one that was studied.")
    settings = read_settings(run / SETTINGS)
    ids = {name: np.array(content.split[name], dtype=np.int64) for name in ("train", "validation", "test")}
    standardiser = learn_standardiser(recording, ids["train"])
    train, validation, test = (make_pairs(recording, ids[name], standardiser) for name in ("train", "validation", "test"))
    decoded = Decoded(
        recording=recording,
        train=train,
        validation=validation,
        test=test,
        fitted=_read_towers(run, device),
        preset=settings.preset,
        settings=dina_settings(settings.preset, settings.dina),
        seed=settings.seed,
        device=device,
        n_resamples=_n_resamples(settings),
        others=others,
        image_features=_read_features(settings.image_features, identity.get("image_features"), recording),
    )
    if decoded.fitted is not None:
        decoded.fitted.check_pairs(train)
    return decoded


def _read_towers(run: Path, device: str) -> AlignedTowers | None:
    path = run / TOWERS
    return load_towers(path).to(device) if path.is_file() else None


def _read_features(path: Path | None, checksum: str | None, recording: Recording) -> Float[np.ndarray, "image feature"] | None:
    """Return what the objective was told of every image, if the file is still what it was."""
    if path is None:
        return None
    if path.is_file() and sha256_of(path) == checksum:
        return read_image_features(path, recording)
    log.warning("Towers cannot be fitted again: %s, the features of the images, is lost or changed. Put it back.", path)
    return None


def _n_resamples(settings: StudySettings) -> int:
    return min(settings.evaluation.n_resamples, RESAMPLES_AT_MOST)
