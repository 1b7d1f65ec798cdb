"""Projective fields: adjoint of the encoding model, linear in the response, grouping by centre."""

import pytest
import torch

from dina.models.noise import LowRankNoise
from dina.models.towers.field_basis import hermite_fields
from dina.models.towers.neural import projective_fields
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.models.towers.tower import initialise

MAP_SHAPE = (3, 5, 8)


def drawn_tower(n_neurons=11, order=2, n_components=4, dtype=torch.float32):
    tower = ProjectiveFields(n_neurons, MAP_SHAPE, order, n_components)
    generator = torch.Generator().manual_seed(0)
    initialise(tower, generator)
    with torch.no_grad():
        tower.weights.normal_(generator=generator)
        tower.width.fill_(1.3)
        tower.private.uniform_(0.3, 2.0, generator=generator)
        tower.loadings.normal_(0.0, 0.5, generator=generator)
        tower.centre[1] = tower.centre[0]  # two neurons of one place
    return tower.eval().to(dtype)


def drawn(*shape, seed=1, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_inner_product_with_a_map_is_the_data_term_of_the_likelihood(order):
    tower = drawn_tower(order=order)
    responses, maps = drawn(4, 11), drawn(6, *MAP_SHAPE, seed=2)
    with torch.no_grad():
        inner = tower(responses).flatten(1) @ maps.flatten(1).T
        expected = LowRankNoise(tower.private, tower.loadings).divide(responses) @ tower.predict(maps).T
    # single precision, sums of 120 terms of order 1
    torch.testing.assert_close(inner, expected, atol=1e-3, rtol=1e-4)


def test_predictions_are_weights_times_patterns_times_map():
    tower = drawn_tower()
    maps = drawn(6, *MAP_SHAPE, seed=2)
    fields = hermite_fields(MAP_SHAPE[1:], tower.centre, float(tower.width), tower.order)
    with torch.no_grad():
        expected = torch.einsum("nbhw,schw,nbc->sn", fields, maps, tower.weights)
        torch.testing.assert_close(tower.predict(maps), expected, atol=1e-4, rtol=1e-4)


def test_what_fits_into_memory_at_a_time_changes_nothing(monkeypatch):
    tower, responses, maps = drawn_tower(), drawn(5, 11), drawn(6, *MAP_SHAPE, seed=2)
    with torch.no_grad():
        together = tower(responses), tower.predict(maps)
        monkeypatch.setattr(projective_fields, "MOST_NUMBERS", 1)
        one_by_one = tower(responses), tower.predict(maps)
    for first, second in zip(together, one_by_one, strict=True):
        torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5)  # sums of other order in single precision


def test_the_map_of_one_neuron_is_its_field_times_its_whitened_response():
    tower = drawn_tower()
    with torch.no_grad():
        tower.loadings.zero_()
        tower.log_gain[4] = 0.5
        response = torch.zeros(1, 11)
        response[0, 4] = 2.0
        field = hermite_fields(MAP_SHAPE[1:], tower.centre[4:5], float(tower.width), tower.order)[0]
        expected = torch.einsum("bhw,bc->chw", field, tower.weights[4]) * (2.0 * tower.log_gain[4].exp() / tower.private[4])
        torch.testing.assert_close(tower(response)[0], expected, atol=1e-5, rtol=1e-4)


def test_the_map_is_linear_in_the_response():
    tower = drawn_tower()
    first, second = drawn(2, 11), drawn(2, 11, seed=5)
    with torch.no_grad():
        torch.testing.assert_close(tower(3 * first - second), 3 * tower(first) - tower(second), atol=1e-4, rtol=1e-4)


def test_the_order_of_neurons_does_not_matter():
    tower, moved = drawn_tower(), drawn_tower()
    permuted = torch.randperm(11, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        for name in ("weights", "centre", "private", "loadings", "log_gain"):
            getattr(moved, name).copy_(getattr(tower, name)[permuted])
        responses, maps = drawn(4, 11), drawn(2, *MAP_SHAPE, seed=2)
        torch.testing.assert_close(moved(responses[:, permuted]), tower(responses), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(moved.predict(maps), tower.predict(maps)[:, permuted], atol=1e-4, rtol=1e-4)


def test_only_the_gain_of_each_neuron_is_trained():
    tower = drawn_tower()
    tower(drawn(4, 11)).square().sum().backward()
    assert [name for name, _ in tower.named_parameters()] == ["log_gain"]
    assert bool((tower.log_gain.grad != 0).all())


def test_of_forgotten_fields_nothing_is_expected():
    tower = drawn_tower(dtype=torch.float64)
    tower.forget_fields()
    with torch.no_grad():
        assert not tower.predict(drawn(2, *MAP_SHAPE, dtype=torch.float64)).any()
    tower.weights[3, 0, 1] = 1.0  # others can be written
    assert tower.weights.sum() == 1


def test_the_same_generator_draws_the_same_fields():
    assert torch.equal(drawn_tower().weights, drawn_tower().weights)
    assert torch.equal(drawn_tower().centre, drawn_tower().centre)


def test_gradients_of_maps_and_predictions_are_those_of_differences():
    tower = drawn_tower(n_neurons=4, dtype=torch.float64)
    with torch.no_grad():
        tower.width.fill_(0.7)
    responses, maps = (
        each.requires_grad_() for each in (drawn(2, 4, dtype=torch.float64), drawn(2, *MAP_SHAPE, dtype=torch.float64))
    )
    assert torch.autograd.gradcheck(tower, responses)
    assert torch.autograd.gradcheck(tower.predict, maps)
