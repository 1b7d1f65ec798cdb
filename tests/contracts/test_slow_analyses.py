"""Every slow analysis goes on from the fits that it had finished, and ends with the same findings."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import pytest

from described_axes import undescribed
from dina.analyses import ANALYSES, Decoded, decode
from dina.analyses.decoded import Arrays, KeptParts
from dina.recordings.simulator import simulate
from dina.training.fit import FitSettings
from dina.training.presets.default import DefaultSettings
from dina.training.presets.paper import PaperSettings

SLOW = [name for name, row in ANALYSES.items() if row.is_slow]
SMALL = {"n_neurons": 60, "n_stimuli": 100, "height": 24, "width": 48, "n_subunits": 40, "n_broad_factors": 10}


@dataclass(frozen=True)
class Watched(KeptParts):
    """Parts that say which of them were computed, and stop before one too many."""

    at_most: int = 100
    computed: list[str] = field(default_factory=list)

    def get(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        def watched() -> Arrays:
            if len(self.computed) == self.at_most:
                raise KeyboardInterrupt
            self.computed.append(name)
            return compute()

        return super().get(name, watched)


@cache
def decode_session(height: int) -> Decoded:
    session = {**SMALL, "height": height, "n_spontaneous": 30, "signal_to_noise": 2.0}
    natural, white = (
        simulate("demo", seed=5, settings={**session, "condition": condition}) for condition in ("natural", "white")
    )
    settings = DefaultSettings(spaces=(), stride=2, widths=(1.0,), n_orientations=2, fit=FitSettings(n_epochs=0))
    return replace(decode(natural, "default", settings, seed=5, test_fraction=0.3, n_resamples=50), others=(white,))


@cache
def decode_attending() -> Decoded:
    settings = PaperSettings(map_height=4, map_width=8, fit=FitSettings(n_epochs=0))
    return decode(decode_session(24).recording, "paper", settings, seed=5, test_fraction=0.3, n_resamples=50)


@pytest.mark.long
@pytest.mark.parametrize("name", SLOW)
def test_a_slow_analysis_that_was_stopped_goes_on_from_its_finished_fits(name: str, tmp_path: Path) -> None:
    subject = (
        decode_attending() if name == "silenced_hubs" else decode_session(32 if name == "layer_depth" else 24)
    )  # a network trained on photographs needs 32 pixels
    stopped, resumed = Watched(tmp_path / "parts", at_most=1), Watched(tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        ANALYSES[name].run(replace(subject, parts=stopped))
    findings = ANALYSES[name].run(replace(subject, parts=resumed)).findings()
    assert len(stopped.computed) == 1
    assert resumed.computed
    assert not set(stopped.computed) & set(resumed.computed)
    whole = ANALYSES[name].run(subject)
    assert [one.to_json() for one in findings] == [one.to_json() for one in whole.findings()]
    assert undescribed(whole.to_dataset()) == []
