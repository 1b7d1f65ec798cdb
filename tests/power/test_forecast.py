"""Forecasts follow the law by which the distance of scores grows, and their intervals hold what one new study finds."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from dina.checks import DataError
from dina.power import Pilot, foretell, size_needed
from dina.power import forecast as of_forecast

N, GALLERY = 400, 50


def accuracy(distance: float, gallery: int = GALLERY) -> float:
    """Return the chance that the largest of ``gallery - 1`` normal numbers stays below one with this mean, by simulation."""
    step = np.linspace(-9, 15, 20_001)
    return float(np.trapezoid(norm.pdf(step - distance) * norm.cdf(step) ** (gallery - 1), step))


def pilot(u: float, halves: dict[str, float], seed: int = 0, spread: float = 0.0) -> Pilot:
    """Make a pilot whose accuracies have one over their squared distance u; halves cost as much as given, with the same images."""
    generator = np.random.default_rng(seed)
    ease = generator.uniform(size=N)  # the same images are hard at every size
    ease = (np.argsort(np.argsort(ease)) + 0.5) / N if spread == 0 else ease
    rows = {name: (ease < accuracy(value**-0.5)).astype(float) for name, value in {"all": u, **halves}.items()}
    return Pilot({"averaged": rows}, np.full(8, 0.5), GALLERY, 200, 100, 2.0)


FLOOR, FALLS = 0.06, 0.08  # one over the squared distance is FLOOR + FALLS / size: half the size costs FALLS more


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the share that no size removes be known."""
    share = FLOOR / (FLOOR + FALLS)
    monkeypatch.setattr(of_forecast, "FLOORS", {"averaged": dict.fromkeys(of_forecast.AXES, (share, share))})


@pytest.mark.usefixtures("exact")
def test_what_falls_as_one_over_the_size_is_foretold_exactly() -> None:
    known = pilot(FLOOR + FALLS, {"neurons": FLOOR + 2 * FALLS})
    for times in (0.5, 2.0, 4.0):
        found = foretell(known, {"neurons": times}, 10_000, GALLERY)
        assert found.top1 == pytest.approx(accuracy((FLOOR + FALLS / times) ** -0.5), abs=0.01)  # images come in whole numbers
    assert (found.n_images, found.n_neurons, found.n_repeats) == (200, 400, 2)


@pytest.mark.usefixtures("exact")
def test_the_same_size_is_what_was_measured_also_in_other_galleries() -> None:
    known = pilot(0.15, {})
    assert foretell(known, {}, 500, GALLERY).top1 == pytest.approx(accuracy(0.15**-0.5), abs=0.01)
    assert foretell(known, {}, 500, 10).top1 == pytest.approx(accuracy(0.15**-0.5, 10), abs=0.01)


def test_what_halving_does_not_cost_doubling_does_not_gain() -> None:
    known = pilot(0.15, {"images": 0.15})
    same, more = (foretell(known, times, 500, GALLERY) for times in ({}, {"images": 4.0}))
    assert more.top1 == pytest.approx(same.top1, abs=1e-4)


def test_the_interval_holds_what_new_studies_find_and_narrows_with_their_images() -> None:
    # a recording of other images each time, and as many new test images: nine of ten intervals hold what they give
    truth, generator, held = accuracy(0.15**-0.5), np.random.default_rng(0), 0
    for seed in range(200):
        one = foretell(pilot(0.15, {}, seed, spread=1.0), {}, N, GALLERY, seed=seed)
        held += one.low <= generator.binomial(N, truth) / N <= one.high
    assert 167 <= held <= 191  # 180 expected, three standard deviations
    few, many = (foretell(pilot(0.15, {}), {}, n, GALLERY) for n in (50, 5000))
    assert few.high - few.low > 2 * (many.high - many.low)


@pytest.mark.usefixtures("exact")
def test_which_neurons_come_in_counts_as_much_less_than_which_half_is_kept_as_doubling_gains_less_than_halving_costs() -> None:
    now, half, twice = FLOOR + FALLS, FLOOR + 2 * FALLS, FLOOR + FALLS / 2
    known = replace(
        pilot(now, {"neurons": half}), by_half=np.array([accuracy((half * np.exp(one)) ** -0.5) for one in (-0.3, 0.3)])
    )
    alike = replace(known, by_half=np.full(2, 0.5))
    wide, narrow = (foretell(one, {"neurons": 2.0}, 10**9, GALLERY) for one in (known, alike))
    ends = 0.3 * np.sqrt(2) * np.sqrt(0.5) * np.log(now / twice) / np.log(half / now) * norm.ppf(0.95)
    added = accuracy((twice * np.exp(-ends)) ** -0.5) - accuracy((twice * np.exp(ends)) ** -0.5)
    assert np.sqrt((wide.high - wide.low) ** 2 - (narrow.high - narrow.low) ** 2) == pytest.approx(added, rel=0.1)


@pytest.mark.usefixtures("exact")
def test_the_size_needed_is_where_the_forecast_reaches_the_accuracy() -> None:
    known = pilot(FLOOR + FALLS, {"neurons": FLOOR + 2 * FALLS, "images": FLOOR + FALLS})
    wanted = accuracy((FLOOR + FALLS / 3) ** -0.5)
    times, sure = size_needed(known, wanted, "neurons", GALLERY)
    assert times == pytest.approx(3.0, rel=0.12)  # steps of nine per cent
    assert sure is None or sure > times
    assert size_needed(known, wanted, "images", GALLERY) == (None, None)
    assert size_needed(known, accuracy((0.5 * FLOOR) ** -0.5), "neurons", GALLERY) == (None, None)


def test_what_was_not_measured_is_refused() -> None:
    known = pilot(0.15, {"neurons": 0.2})
    with pytest.raises(DataError, match=r"cannot tell about repeats"):
        foretell(known, {"repeats": 2.0}, 100, GALLERY)
    with pytest.raises(DataError, match=r"got 64 times the neurons"):
        foretell(known, {"neurons": 64.0}, 100, GALLERY)
    with pytest.raises(DataError, match=r"Unknown queries 'averages'|queries"):
        foretell(known, {}, 100, GALLERY, "averages")
