"""Simulated populations whose truth is planted get the verdicts that they deserve on the neural side."""

import pytest

from dina.analyses import ANALYSES, RULES
from dina.analyses.decoded import decode
from dina.analyses.verdict import judge
from dina.recordings.simulator import simulate
from dina.statistics.finding import Finding
from dina.training.fit import FitSettings
from dina.training.presets.default import DefaultSettings

TOWERS = DefaultSettings(spaces=(), stride=2, widths=(0.75, 1.5), n_orientations=2, fit=FitSettings(n_epochs=0))
pytestmark = pytest.mark.long  # `test_neural_rules`, `test_noise_shuffle` and `test_slow_drift` test the same verdicts quickly
SMALL = {"n_neurons": 200, "n_stimuli": 400, "height": 24, "width": 48, "n_subunits": 100, "n_spontaneous": 0}


def found_in(analyses: tuple[str, ...], planted: dict[str, object]) -> dict[str, dict[str, Finding]]:
    """Simulate, decode and analyse."""
    session = simulate("demo", 0, settings={**SMALL, **planted})
    decoded = decode(session, "default", TOWERS, seed=0, test_fraction=0.25, n_resamples=300, response_transform="identity")
    results = {name: ANALYSES[name].run(decoded).findings() for name in analyses}
    return {name: {finding.name: finding for finding in findings} for name, findings in results.items()}


def verdict_of(claim: str, analyses: tuple[str, ...], planted: dict[str, object]) -> tuple[str, str]:
    """Simulate, decode, analyse and judge."""
    verdict = judge([RULES[claim]], found_in(analyses, planted))[0]
    return verdict.verdict, verdict.reason


@pytest.mark.parametrize("is_equal", [True, False], ids=["equal", "log-normal"])
def test_signal_to_noise_alone_is_not_called_sparse(is_equal: bool) -> None:
    found = found_in(("sparse_subsets",), {"signal_to_noise": 1.0, "equal_signal_to_noise": is_equal})
    verdict = judge([RULES["sparse_code"]], found)[0]
    assert verdict.verdict != "supported", verdict.reason
    if not is_equal:
        # subsets as reliable as the best must do nearly as well
        share = found["sparse_subsets"]["snr_explained_share"]
        assert share.low > share.null_high


def test_a_tenth_of_equally_reliable_neurons_that_tells_images_apart_is_called_sparse() -> None:
    # the other nine tenths know only the category
    planted = {"equal_signal_to_noise": True, "signal_to_noise": 1.0, "semantic_fraction": 0.9}
    verdict, reason = verdict_of("sparse_code", ("sparse_subsets",), planted)
    assert verdict == "supported", reason


@pytest.mark.parametrize(
    ("planted", "answer"),
    [
        ({"broad_noise": 0.95, "n_broad_factors": 2}, "supported"),
        ({"broad_noise": 0.0, "gain_deviation": 0.0}, "not supported"),
    ],
)
def test_interactions_contribute_where_noise_is_shared(planted: dict[str, object], answer: str) -> None:
    repeats = {"n_repeats": 6, "information_limit": 0.0, "signal_to_noise": 0.4}
    verdict, reason = verdict_of("functional_interactions", ("noise_shuffle",), {**repeats, **planted})
    assert verdict == answer, reason
