"""Two small decodings that the tests of analyses share: V1-like towers and towers learnt from scratch."""

import pytest

from dina.analyses.decoded import Decoded, decode
from dina.recordings.recording import Recording
from dina.recordings.simulator import simulate
from dina.training.fit import FitSettings
from dina.training.presets.default import DefaultSettings
from dina.training.presets.scratch import ScratchSettings

SMALL = {"n_neurons": 80, "n_stimuli": 200, "height": 24, "width": 48, "n_subunits": 60, "n_broad_factors": 10}
"""A session that decodes well above chance and is simulated in a second."""


@pytest.fixture(scope="session")
def session() -> Recording:
    """Give a simulated session of 80 neurons and 200 images, 24 x 48 pixels of 2 degrees, two repeats, labels."""
    return simulate("demo", seed=3, settings={**SMALL, "n_spontaneous": 50, "signal_to_noise": 2.0})


@pytest.fixture(scope="session")
def decoded(session: Recording) -> Decoded:
    """Give the default towers at their closed-form start, fitted on that session; 50 test images."""
    settings = DefaultSettings(spaces=(), stride=2, widths=(0.75, 1.5), n_orientations=2, fit=FitSettings(n_epochs=0))
    return decode(session, "default", settings, seed=3, test_fraction=0.25, n_resamples=300, response_transform="power 0.5")


@pytest.fixture(scope="session")
def decoded_scratch(session: Recording) -> Decoded:
    """Give small towers trained from scratch on the same session and split."""
    settings = ScratchSettings(pathway_width=8, rank=16, fit=FitSettings(n_epochs=15, batch_size=64))
    return decode(session, "scratch", settings, seed=3, test_fraction=0.25, n_resamples=300, response_transform="identity")
