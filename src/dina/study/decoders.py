"""Which decoders a study fits, how each is made, and what each leaves in the run directory."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from dina.baselines.ideal_observer import IdealObserver
from dina.baselines.nearest_repeat import NearestRepeatRaw, NearestRepeatZscored
from dina.checks import DataError
from dina.decoding.decoder import Decoder, Reads
from dina.recordings.recording import Recording
from dina.study.fitting import Parts, fit_and_score
from dina.study.settings import StudySettings

READS: Mapping[str, Reads] = {
    "nearest_repeat_zscored": "templates",
    "nearest_repeat_raw": "templates",
    "ideal_observer": "truth",
}
"""What decoders read of the gallery, where it is not the images."""


def carry_out_decoder(name: str, recording: Recording, settings: StudySettings, parts: Parts, device: str, folder: Path) -> None:
    """Fit and score one decoder and write ``retrieval_<name>.nc`` last; a decoder whose file is there is left alone."""
    path = folder / "results" / f"retrieval_{name}.nc"
    if path.is_file():
        return
    preset = settings.preset if name == "dina" else ""
    scores, _ = fit_and_score(name, preset, lambda: make_decoder(name, recording, settings, device, folder), parts)
    if not scores.scored:
        scores = replace(scores, reads=READS.get(name, "images"))
    scores.write(path)


def make_decoder(name: str, recording: Recording, settings: StudySettings, device: str, folder: Path) -> Decoder:
    """Return the decoder of that name, not yet fitted."""
    makers: Mapping[str, Callable[[], Decoder]] = {
        "nearest_repeat_zscored": NearestRepeatZscored,
        "nearest_repeat_raw": NearestRepeatRaw,
        "ideal_observer": lambda: _make_observer(recording),
    }
    if name not in makers:
        raise DataError(f"{name} is not there yet.")
    return makers[name]()


def _make_observer(recording: Recording) -> Decoder:
    if recording.truth is None:
        raise DataError("The truth is known for simulated recordings only.")
    return IdealObserver(recording.truth)
