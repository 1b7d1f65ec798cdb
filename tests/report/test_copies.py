"""Copies of images bound accuracy, the less the smaller the gallery."""

import numpy as np
import pytest

from dina.randomness import generator_for
from dina.report.copies import CopiesInGallery, bound_of_forecast


def test_the_bound_of_small_galleries_is_that_of_galleries_drawn_at_random() -> None:
    alike = np.array([2] * 4 + [3] * 3 + [1] * 5)  # two pairs, three of a kind, five without copies
    group = np.array([0, 0, 1, 1, 2, 2, 2, 3, 4, 5, 6, 7])
    copies = CopiesInGallery(12, 7, float(np.mean(1 / alike)), tuple(alike[alike > 1].tolist()))
    generator, found = generator_for(0, "galleries"), []
    for _ in range(4000):
        gallery = generator.permutation(12)[:5]
        found.append(1 / (group[gallery] == group[gallery[0]]).sum())  # the first is the right one
    assert copies.bound_among(5) == pytest.approx(np.mean(found), abs=4 * np.std(found) / 4000**0.5)
    assert copies.bound_among(12) == pytest.approx(copies.bound)
    assert copies.bound_among(1) == 1
    assert "at most" in bound_of_forecast(copies, 5)
