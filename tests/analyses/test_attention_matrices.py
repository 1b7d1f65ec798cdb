"""The matrices of the published tower are those by which it computes its attention."""

import numpy as np
import pytest
import torch

from dina.analyses.attention_interactions import compute as module
from dina.analyses.attention_interactions.compute import attention_matrices, received_attention
from dina.checks import DataError
from dina.models.towers.neural.paper_neuron_attention import NeuronAttention
from dina.models.towers.tower import initialise


@pytest.fixture(scope="module")
def tower() -> NeuronAttention:
    made = NeuronAttention(300, width=8)
    initialise(made, torch.Generator().manual_seed(0))
    return made.eval()


def test_the_view_holds_the_towers_own_matrices(tower: NeuronAttention) -> None:
    own, chosen = tower.interactions(), np.array([5, 200, 17])
    dataset = attention_matrices(tower, chosen)
    for name in "PQRTGH":
        # the same products in another order: rounding of single precision
        np.testing.assert_allclose(dataset[name], getattr(own, name)[chosen][:, chosen], rtol=1e-5, atol=1e-6)
        assert 0 <= dataset[name].attrs["asymmetry"] <= 1
    assert dataset["P"].dims == ("asking", "asked")
    assert attention_matrices(tower).sizes["asked"] == 300


def test_received_attention_is_the_mean_of_the_softmax_over_those_who_ask(tower: NeuronAttention) -> None:
    responses = np.random.default_rng(0).random((3, 300)).astype(np.float32)
    own = tower.interactions()
    expected = np.zeros(300)
    for r in torch.from_numpy(responses):
        score = r * (r[:, None] * own.P + own.R) + r[:, None] * own.Q + own.T
        expected += torch.softmax(score.double(), 1).mean(0).numpy() / 3
    found = received_attention(tower, responses)
    np.testing.assert_allclose(found, expected, rtol=1e-4)  # scores in single precision
    assert found.sum() == pytest.approx(1)


def test_six_matrices_of_too_many_neurons_are_refused(tower: NeuronAttention, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_NEURONS", 10)
    with pytest.raises(DataError, match="At most 10 neurons"):
        attention_matrices(tower)
