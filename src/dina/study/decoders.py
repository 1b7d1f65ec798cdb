"""Which decoders a study fits, how each is made, and what each leaves in the run directory."""

from pathlib import Path

from dina.checks import DataError
from dina.recordings.recording import Recording
from dina.retrieval.decoder import Decoder
from dina.rivals import RIVALS
from dina.study.decoder_scores import DecoderScores
from dina.study.dina_step import BEFORE_TRAINING, carry_out_dina, dina_settings
from dina.study.fitting import Parts, fit_and_score
from dina.study.image_features import read_image_features
from dina.study.settings import StudySettings


def decoders_of(settings: StudySettings, recording: Recording) -> list[str]:
    """Return the decoders that a study of this recording fits, in order; an ideal observer exists in simulations alone."""
    return [name for name in settings.decoders if name != "ideal_observer" or recording.is_simulated]


def carry_out_decoder(name: str, recording: Recording, settings: StudySettings, parts: Parts, device: str, folder: Path) -> None:
    """Fit and score one decoder and write ``retrieval_<name>.nc`` last; a decoder whose file is there is left alone.

    Parameters
    ----------
    name
        As in the tables.
    recording
        For the truth of a simulation; decoders learn from ``parts`` alone.
    settings, device
        As `dina.study.run_study` takes them.
    parts
        The three parts of the split.
    folder
        The run directory.
    """
    path = scores_path(folder, name)
    if path.is_file():
        return
    if name == "dina":
        prescribed = dina_settings(settings.preset, settings.dina)
        given = settings.image_features
        features = None if given is None else read_image_features(given, recording)
        carry_out_dina(settings.preset, prescribed, settings.seed, parts, device, folder, path, features)
        return
    scores, _ = fit_and_score(name, "", lambda: _make_baseline(name, settings.seed, recording), parts)
    scores.write(path)


def read_scores(folder: Path, settings: StudySettings) -> list[DecoderScores]:
    """Read what all decoders of a study said, in the order of the table; dina's start comes after dina."""
    names = [each for name in settings.decoders for each in ((name, BEFORE_TRAINING) if name == "dina" else (name,))]
    paths = [scores_path(folder, name) for name in names]
    return [DecoderScores.read(path) for path in paths if path.is_file()]


def scores_path(folder: Path, name: str) -> Path:
    """Return where the scores of a decoder are kept in a run directory."""
    return folder / "results" / f"retrieval_{name}.nc"


def _make_baseline(name: str, seed: int, recording: Recording) -> Decoder:
    if name not in RIVALS:
        raise DataError(f"This version of dina cannot fit {name}.")
    return RIVALS[name].build(seed, recording.truth)
