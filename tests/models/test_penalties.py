"""Ridge penalties that cannot be are refused, and a best one at an end of its grid is reported."""

import numpy as np
import pytest
import torch

from dina.analyses.feature_maps import image_reconstruction
from dina.analyses.semantics import linear_models
from dina.checks import DataError
from dina.data.pairs import Pairs, learn_standardiser, make_pairs
from dina.models import global_ridge, local_ridge
from dina.models.penalties import check_penalties, note_ends
from dina.recordings.recording import Recording
from dina.rivals import canonical_correlation, generic_decoding, reduced_rank, ridge
from dina.rivals.reduced_rank import ReducedRankRegression
from dina.rivals.ridge import Ridge

GRIDS = [
    module.PENALTIES
    for module in (canonical_correlation, generic_decoding, reduced_rank, ridge, linear_models, image_reconstruction)
]
GRIDS += [global_ridge.GLOBAL_PENALTIES, local_ridge.LOCAL_PENALTIES]
NOTE = "penalty_at_the_end_of_its_grid"


@pytest.fixture(scope="module")
def parts(small_session: Recording) -> tuple[Pairs, Pairs]:
    """Return pairs to learn from and to choose by."""
    train, validation = np.arange(60), np.arange(60, 80)
    standardiser = learn_standardiser(small_session, train)
    return make_pairs(small_session, train, standardiser), make_pairs(small_session, validation, standardiser)


@pytest.mark.parametrize("penalties", [(), (0.0, 1.0), (-1.0,), (1.0, np.nan), (np.inf,)])
def test_penalties_that_cannot_be_are_refused(
    penalties: tuple[float, ...], parts: tuple[Pairs, Pairs], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="must be finite and above 0, at least one"):
        check_penalties(penalties)
    with pytest.raises(DataError, match="Ridge penalties"):
        global_ridge.fit_global_ridge(torch.randn(9, 1, 2, 2), torch.randn(9, 3), penalties)
    monkeypatch.setattr(ridge, "PENALTIES", np.array(penalties))
    with pytest.raises(DataError, match="Ridge penalties"):
        Ridge().fit(*parts)


@pytest.mark.parametrize("penalties", GRIDS)
def test_every_grid_of_the_package_can_be_tried(penalties: tuple[float, ...]) -> None:
    assert (np.diff(check_penalties(penalties)) > 0).all()


def test_fits_without_penalty_do_not_count() -> None:
    assert note_ends([np.inf, np.inf, 1.0], (0.1, 1.0, 3.0), "neurons") == {}
    assert note_ends([], (0.1, 1.0)) == note_ends([1.0], (1.0,)) == {}


def test_a_fit_reports_that_a_better_penalty_may_lie_beyond_its_grid(
    parts: tuple[Pairs, Pairs], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, validation = parts
    monkeypatch.setattr(ridge, "PENALTIES", np.array([1e-9, 1e-8]))  # responses are noisy: more would be better
    assert "the largest tried, 1e-08, is best for" in Ridge().fit(train, validation).chosen[NOTE]
    chosen = ReducedRankRegression().fit(train, validation).chosen
    monkeypatch.setattr(ReducedRankRegression, "penalties", (chosen["penalty"], 1e9))  # as if it were the least
    assert NOTE not in chosen
    assert "the smallest tried" in str(ReducedRankRegression().fit(train, validation).chosen[NOTE])
