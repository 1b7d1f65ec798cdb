"""The decoders of a study: how each is made and fitted, and which files it leaves in the run directory."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float

from dina.artifacts import write_text
from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries
from dina.data.response_transform import Units
from dina.recordings.recording import Recording
from dina.recordings.stored_numbers import read_npy
from dina.rivals import RIVALS
from dina.safe_words import table_text
from dina.shapes import Scores
from dina.study.decoder_scores import DecoderScores, fit_and_score, score_test
from dina.study.own_parts import NOTHING, OwnParts
from dina.study.prepared_recordings import SplitPairs
from dina.study.run_directory import CHECKPOINTS, HISTORY, RESULTS, TOWERS, Run
from dina.study.settings import StudySettings, dina_settings
from dina.training.dina_decoder import DinaDecoder
from dina.training.presets import AnyPreset, PresetSettings, find_preset, name_of
from dina.training.saved import save_towers

# Name in tables of dina's closed-form start, before any contrastive training.
BEFORE_TRAINING = "dina_before_training"

# Fewest images to train towers on and to choose the epoch by; with fewer, towers would only memorise them.
MIN_TRAIN, MIN_VALIDATION = 50, 6


def decoders_of(settings: StudySettings, recording: Recording, own: OwnParts = NOTHING) -> list[str]:
    """Return the decoders that a study of this recording fits, in order; ideal observers exist in simulations alone."""
    named = [name for name in settings.decoders if recording.is_simulated or name not in RIVALS or RIVALS[name].reads != "truth"]
    return [*named, *own.decoders]


def units_of(name: str, preset: AnyPreset, own: OwnParts = NOTHING) -> Units:
    """Return the units of the responses that a decoder reads; those of dina are those of its preset."""
    if name in own.decoders:
        return own.units_of(name)
    row = find_preset(preset) if name == "dina" else RIVALS.get(name)
    return "chosen" if row is None else row.units


def carry_out_decoder(
    name: str,
    recording: Recording,
    settings: StudySettings,
    pairs: SplitPairs,
    device: str,
    folder: Path,
    own: OwnParts = NOTHING,
) -> None:
    """Fit and score one decoder and write ``retrieval_<name>.nc`` last; a decoder whose file is there is left alone.

    Parameters
    ----------
    name, recording, settings, pairs, device
        Decoders learn from the pairs alone, in the units of `units_of`; the recording gives the truth of a simulation.
    folder
        The run directory.
    own
        What the user gave as objects.

    Raises
    ------
    DataError
        If this version has no decoder of that name, or features of images cannot be read.
    """
    if _scores_path(folder, name).is_file():
        return
    if name == "dina":
        preset = settings.preset if own.preset is None else own.preset
        prescribed = dina_settings(preset, settings.dina)
        given = settings.image_features
        features = None if given is None else read_image_features(given, recording)
        carry_out_dina(preset, prescribed, settings.seed, pairs, device, folder, features)
        return
    if name in own.decoders:
        scores, _ = fit_and_score(name, "", lambda: own.build(name), pairs, own.build(name).reads)
        scores.write(_scores_path(folder, name))
        return
    if name not in RIVALS:
        raise DataError(f"This version of dina cannot fit {name}. Leave it out of the decoders.")
    scores, _ = fit_and_score(name, "", lambda: RIVALS[name].build(settings.seed, recording.truth), pairs)
    scores.write(_scores_path(folder, name))


def read_scores(folder: Path, settings: StudySettings) -> list[DecoderScores]:
    """Read the scores of all decoders of a study, in the order of the table; dina's start comes after dina, a user's own last."""
    names = [each for name in settings.decoders for each in ((name, BEFORE_TRAINING) if name == "dina" else (name,))]
    known = Run(folder).retrieval
    return [known[name] for name in (*names, *(other for other in known if other not in names)) if name in known]


def _scores_path(folder: Path, name: str) -> Path:
    return folder / RESULTS / f"retrieval_{name}.nc"


def carry_out_dina(
    preset: AnyPreset,
    settings: PresetSettings,
    seed: int,
    pairs: SplitPairs,
    device: str,
    folder: Path,
    image_features: Float[np.ndarray, "image feature"] | None = None,
) -> None:
    """Train dina, score the test images before and after, and keep towers, history and scores.

    Parameters
    ----------
    preset, settings, seed, pairs, device, image_features
        As `DinaDecoder` takes them; the test pairs are scored only.
    folder
        The run directory; training goes on from the checkpoints in it, and the scores are written last.
    """

    def make() -> DinaDecoder:
        _check_numbers(pairs)
        return DinaDecoder(preset, settings, seed, device, folder / CHECKPOINTS, image_features)

    scores, decoder = fit_and_score("dina", name_of(preset), make, pairs)
    if isinstance(decoder, DinaDecoder) and decoder.towers is not None and decoder.history is not None:
        if decoder.towers_before_training is not None:
            before = DecoderScores(BEFORE_TRAINING, name_of(preset), "images", *score_test(_BeforeTraining(decoder), pairs.test))
            before.write(_scores_path(folder, BEFORE_TRAINING))
        history = decoder.history
        write_text(folder / HISTORY, table_text(history.to_frame()))
        save_towers(decoder.towers, folder / TOWERS)
        scores = replace(scores, chosen={**scores.chosen, **history.summary()})
    scores.write(_scores_path(folder, "dina"))
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def _check_numbers(pairs: SplitPairs) -> None:
    n_train, n_validation = pairs.train.n_stimuli, pairs.validation.n_stimuli
    if n_train < MIN_TRAIN or n_validation < MIN_VALIDATION:
        raise DataError(
            f"dina needs at least {MIN_TRAIN} images to train on and {MIN_VALIDATION} to choose by; this recording gives"
            f" {n_train} and {n_validation}. Record more images."
        )


class _BeforeTraining:
    """The closed-form start of a fitted decoder, as a decoder by itself."""

    reads: ClassVar[Literal["images", "templates", "truth"]] = "images"

    def __init__(self, decoder: DinaDecoder) -> None:
        self.name = BEFORE_TRAINING
        self._decoder = decoder

    def fit(self, train: Pairs, validation: Pairs) -> "_BeforeTraining":
        return self

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        scores = self._decoder.score_before_training(queries, gallery)
        if scores is None:
            raise DataError("This preset has no start that decodes before training.")
        return scores


def read_image_features(path: Path, recording: Recording) -> Float[np.ndarray, "image feature"]:
    """Read a .npy file of real numbers: a row for each image of the recording, in the order of stimulus ids.

    Features are in any unit: objectives z-score each column over the training images. Images never shown may have NaN.

    Raises
    ------
    DataError
        If the file cannot be read, is no table of real numbers, has another number of rows than the recording has images,
        or is not finite for an image that was shown.
    """
    values = read_npy(path)
    if values.dtype.kind not in "fiu":
        raise DataError(f"Features of images must be real numbers; {path.name} holds {values.dtype}. Save them as float32.")
    if values.ndim != 2 or len(values) != recording.n_stimuli:
        raise DataError(
            f"Features of images must have shape (n_stimuli, n_features), here ({recording.n_stimuli}, any), a row for each image"
            f" in the order of stimulus ids; {path.name} has {values.shape}. Compute the features of all images of the recording."
        )
    with np.errstate(over="ignore"):  # what single precision cannot hold is named below
        features = np.ascontiguousarray(values, dtype=np.float32)
    wrong = np.flatnonzero(~np.isfinite(features).all(axis=1) & (recording.repeats_per_stimulus() > 0))
    if len(wrong):
        raise DataError(
            f"Features of images that were shown must be finite in single precision; in {path.name} those of {len(wrong)} images"
            f" are not, the first of stimulus id {wrong[0]}. Compute their features again."
        )
    return features
