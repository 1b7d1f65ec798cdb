"""Hermite fields: inner products on paper, confined to their window, moved with their centre."""

import pytest
import torch

from dina.models.towers.field_basis import count_fields, hermite_fields


@pytest.mark.parametrize("width", [1.5, 3.0])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_inner_products_on_a_large_grid_are_those_on_paper(width, order):
    fields = hermite_fields((61, 61), torch.tensor([[30.0, 30.0]]), width, order)[0].flatten(1)
    # two windows make exp(-u^2), under which u has variance 1/2: E[1] = 1, E[u u] = 1/2,
    # E[u^2 - 1] / sqrt 2 = -1 / (2 sqrt 2), E[(u^2 - 1)^2] / 2 = (3/4 - 1 + 1) / 2 = 3/8
    along = torch.tensor([[1.0, 0.0, -(0.125**0.5)], [0.0, 0.5, 0.0], [-(0.125**0.5), 0.0, 0.375]])
    pairs = [(a, total - a) for total in range(order + 1) for a in range(total + 1)]
    expected = torch.tensor([[float(along[a, c] * along[b, d]) for c, d in pairs] for a, b in pairs])
    # the cut at three widths takes some 3^4 exp(-9) of the tails
    torch.testing.assert_close(fields @ fields.T, expected, atol=0.01, rtol=0.0)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_there_are_as_many_fields_as_announced(order):
    assert hermite_fields((4, 6), torch.tensor([[1.0, 2.0], [3.0, 5.0]]), 0.7, order).shape == (2, count_fields(order), 4, 6)
    assert count_fields(order) == sum(range(order + 2))


def test_fields_end_three_widths_from_their_centre():
    fields = hermite_fields((1, 41), torch.tensor([[0.0, 20.0]]), 2.0, 2)[0, :, 0]
    assert float(fields[:, :14].abs().max()) == 0
    assert float(fields[:, 27:].abs().max()) == 0
    assert float(fields[0, 14]) > 0


def test_a_field_moves_with_its_centre():
    centres = torch.tensor([[5.0, 6.0], [7.0, 9.0]])
    first, second = hermite_fields((14, 16), centres, 1.0, 2)
    torch.testing.assert_close(first[:, 2:9, 3:10], second[:, 4:11, 6:13])


def test_first_order_fields_are_odd_along_one_axis_and_even_along_the_other():
    along_columns, along_rows = hermite_fields((9, 9), torch.tensor([[4.0, 4.0]]), 1.0, 1)[0, 1:]
    torch.testing.assert_close(along_columns.flip(1), -along_columns)
    torch.testing.assert_close(along_columns.flip(0), along_columns)
    torch.testing.assert_close(along_rows, along_columns.T)
