"""Masking takes away what it says, a part that nobody uses takes nothing, and shares of pathways add up."""

from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dina.analyses import ANALYSES
from dina.analyses.comparable_maps import ComparableMaps
from dina.analyses.decoded import Decoded
from dina.analyses.pathways.compute import PathwayMaskingSettings, analyse_pathway_masking
from dina.analyses.pathways.maskable_parts import MapChannels, MaskableParts, MaskingLosses
from dina.data.pairs import make_task
from dina.models.towers.image.two_pathway import TwoPathway
from dina.models.towers.tower import ImageTower
from dina.statistics.finding import Finding

SMALL = PathwayMaskingSettings(n_similarity=20, n_random=20)


@pytest.fixture(scope="module")
def channels(decoded: Decoded) -> MapChannels:
    reader = ComparableMaps(decoded.towers, decoded.train, decoded.validation, 0)
    rest = np.zeros(decoded.towers.image_tower.map_shape, dtype=np.float32)
    return MapChannels(decoded.towers, make_task(decoded.test, "averaged"), reader, 20, rest)


def named(findings: tuple[Finding, ...]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_a_pathway_that_the_towers_do_not_use_can_be_masked_without_any_trace(decoded_scratch: Decoded) -> None:
    towers = deepcopy(decoded_scratch.towers)
    assert isinstance(towers.image_tower, TwoPathway)
    with torch.no_grad():
        towers.image_tower.merge.weight[:, 8:] = 0.0  # the second half comes from the global pathway

    found = named(analyse_pathway_masking(replace(decoded_scratch, fitted=towers), SMALL).findings())

    assert found["ssim_global"].value == found["ssim_mean_map_global"].value == 1.0
    assert (found["top1_loss_global"].value, found["log_rank_loss_global"].value) == (0.0, 0.0)
    assert found["shapley_global"].value == 0.0
    # a correlation of equal numbers, up to rounding
    assert found["correlation_global"].value == pytest.approx(1.0, abs=1e-9)
    assert found["correlation_mean_map_global"].value == pytest.approx(1.0, abs=1e-6)
    assert found["ssim_local"].value < 0.9


def test_scores_with_channels_masked_are_those_of_the_masked_maps(channels: MapChannels) -> None:
    keep = np.random.default_rng(0).random(channels.n_parts) > 0.4

    # single precision: the sum over channels and pairs of channels in another order; scores are of the order of 100
    np.testing.assert_allclose(channels.scores(keep), MaskableParts.scores(channels, keep), rtol=1e-4, atol=1e-4)


def test_similarities_add_up_over_channels_to_those_of_the_whole_maps(channels: MapChannels) -> None:
    keep = np.random.default_rng(1).random(channels.n_parts) > 0.4

    found, expected = channels.similarity(keep), MaskableParts.similarity(channels, keep)

    # correlation of whole maps in double precision, the rest in single
    for one, other, tolerance in zip(found, expected, (1e-5, 1e-7, 1e-4, 1e-5), strict=True):
        np.testing.assert_allclose(one, other, atol=tolerance)


def test_a_channel_that_is_as_its_rest_can_be_masked_without_any_trace(decoded: Decoded) -> None:
    reader = ComparableMaps(decoded.towers, decoded.train, decoded.validation, 0)
    maps = decoded.towers.encode_images(decoded.test.images)
    unused = deepcopy(decoded.towers)
    unused.encode_images = lambda images: np.where(np.arange(maps.shape[1])[:, None, None] == 2, 0.0, maps)[: len(images)]
    parts = MapChannels(unused, make_task(decoded.test, "averaged"), reader, 20, np.zeros(maps.shape[1:], dtype=np.float32))
    ssim, _, ssim_of_means, _ = parts.similarity(np.arange(parts.n_parts) != 2)
    assert (ssim == 1.0).all()
    assert (ssim_of_means == 1.0).all()


def test_similarity_of_means_is_no_count_of_channels() -> None:
    ssim, _, ssim_of_means, correlation_of_means = _Copies(2).similarity(np.array([True, False]))
    # one of two equal channels is left: half of the channels, but all of the pattern at half its contrast
    assert (ssim < 0.7).all()
    np.testing.assert_allclose(correlation_of_means, 1.0, atol=1e-6)
    assert (ssim_of_means > ssim).all()
    assert (ssim_of_means < 0.95).all()


def test_a_map_of_one_channel_is_its_own_mean() -> None:
    ssim, correlation, ssim_of_means, correlation_of_means = _Copies(1).similarity(np.array([False]))
    np.testing.assert_array_equal(ssim_of_means, ssim)
    np.testing.assert_array_equal(correlation_of_means, correlation)


def test_masking_the_pathways_of_the_tower_is_masking_their_channels(decoded: Decoded, channels: MapChannels) -> None:
    tower = decoded.towers.image_tower
    is_local = np.array([channel.pathway == "local" for channel in tower.channels])
    keep = np.append(is_local, np.zeros(channels.n_parts - len(is_local), dtype=bool))

    expected = decoded.towers.encode_images(decoded.test.images, ("global",))

    np.testing.assert_allclose(channels.maps(keep).numpy(), expected, atol=1e-6)


class _Copies(MaskableParts):
    """A map of equal channels, of which a masked one is flat."""

    def __init__(self, n: int) -> None:
        self.reader, self.n_compared = SimpleNamespace(standardise=lambda maps: maps), 5
        self._one = torch.from_numpy(np.random.default_rng(0).standard_normal((5, 12, 20))).float()
        self.n_parts = self.n_structured = n
        self._remember(self.maps(np.ones(n, dtype=bool)).numpy())

    def maps(self, keep: np.ndarray) -> torch.Tensor:
        return self._one[:, None] * torch.from_numpy(keep.astype(np.float32))[:, None, None]


class _Additive(MaskableParts):
    """Parts whose presence makes queries right: the first two queries need part 0, the last needs parts 1 and 2."""

    n_parts = n_structured = 3

    def __init__(self) -> None:
        pass

    def maps(self, keep: np.ndarray) -> torch.Tensor:
        raise NotImplementedError

    def scores(self, keep: np.ndarray) -> np.ndarray:
        right = np.array([keep[0], keep[0], keep[1] and keep[2]])
        return np.where(np.eye(3, dtype=bool), right[:, None] * 2.0 - 1.0, 0.0)


def test_shares_are_those_worked_out_on_paper() -> None:
    losses = MaskingLosses(np.arange(3), n_compared=2, n_random=20, n_resamples=50, seed=0)
    groups = {name: row for name, row in zip("abc", np.eye(3, dtype=bool), strict=True)}

    shares = [one.value for one in losses.split(_Additive(), groups)]

    # two of three queries are the first part's alone; the third is shared by those that it needs both of
    np.testing.assert_allclose(shares, [2 / 3, 1 / 6, 1 / 6], rtol=1e-12)


def test_shares_of_pathways_add_up_to_what_all_have_above_none(decoded: Decoded) -> None:
    found = named(analyse_pathway_masking(decoded, SMALL).findings())

    total = found["shapley_local"].value + found["shapley_global"].value
    # with everything masked all images score the same, and 1 of 50 is found by chance
    assert total == pytest.approx(found["top1_full"].value - 1 / 50, abs=1e-9)


def test_every_part_stands_beside_random_parts_of_its_size(decoded: Decoded) -> None:
    result = analyse_pathway_masking(decoded, SMALL)
    found = named(result.findings())

    assert {"local", "global", "scale_4px", "scale_8px", "orientation_90deg", "kind_energy", "pooled"} <= set(
        result.to_dataset()["masked"].to_numpy()
    )
    # as many channels at random leave as much of the maps: each channel has the same share in the mean
    ssim = result.to_dataset().sel(masked="scale_4px", measure="ssim")
    assert ssim["null_low"] - 0.02 < found["ssim_scale_4px"].value < ssim["null_high"] + 0.02
    assert result.to_dataset()["values"].dims == ("masked", "measure")


def test_every_number_that_is_drawn_stands_in_a_table(decoded: Decoded) -> None:
    result = analyse_pathway_masking(decoded, SMALL)
    (table,) = ANALYSES["pathway_masking"].draw(result.to_dataset(), result.findings()).tables
    assert len(table.rows) == result.to_dataset().sizes["masked"]
    top1 = 100 * float(result.to_dataset()["values"].sel(masked="local", measure="top1_loss"))
    (local,) = [row for row in table.rows if row[0] == "local"]
    assert float(local[3].split(" (")[0].replace("\N{MINUS SIGN}", "-")) == pytest.approx(top1, abs=0.01)
    assert all("; random: " in cell for cell in local[1:])


def test_losses_of_a_part_that_changes_many_scores_have_as_wide_a_null() -> None:
    """One part decides all ranks: what is lost with it varies more than what is lost with any other, also by chance."""
    strong, outside = np.array([True, False, False]), 0
    for seed in range(200):
        losses = MaskingLosses(np.arange(20), n_compared=5, n_random=20, n_resamples=199, seed=seed)
        found = named(losses.measure("strong", _Unrelated(seed), strong))
        outside += found["log_rank_loss_strong"].beats_null
    assert 3 <= outside <= 19  # 5 % of 200, 99.5 %


class _Unrelated(_Copies):
    """Scores that have nothing to do with which image is right; the first part has nearly all of their variance."""

    def __init__(self, seed: int) -> None:
        super().__init__(3)
        self._scores = np.random.default_rng(seed).standard_normal((3, 20, 20)) * np.array([10.0, 1.0, 1.0])[:, None, None]

    def scores(self, keep: np.ndarray) -> np.ndarray:
        return self._scores[keep].sum(axis=0)


class _Wrapped(ImageTower):
    """An image tower of one's own with two named pathways, about whose inside nothing is known."""

    def __init__(self, inner: ImageTower) -> None:
        super().__init__(inner.image_shape, inner.map_shape, inner.pathways)
        self.inner = inner

    def forward(self, images: torch.Tensor, masked: tuple[str, ...] = ()) -> torch.Tensor:
        return self.inner(images, masked)


def test_pathways_that_cannot_be_divided_have_no_random_groups_but_the_same_losses(decoded_scratch: Decoded) -> None:
    towers = deepcopy(decoded_scratch.towers)
    towers.image_tower = _Wrapped(towers.image_tower)

    result = analyse_pathway_masking(replace(decoded_scratch, fitted=towers), SMALL)

    found, whole = named(result.findings()), named(analyse_pathway_masking(decoded_scratch, SMALL).findings())
    random = result.to_dataset()["null_low"].sel(masked=["local", "channel_1"], measure="ssim").to_numpy()
    np.testing.assert_array_equal(np.isnan(random), [True, False])
    # masking by name and masking the merged features are one thing, up to single precision
    assert found["ssim_local"].value == pytest.approx(whole["ssim_local"].value, abs=1e-5)
    assert found["top1_loss_local"].value == pytest.approx(whole["top1_loss_local"].value, abs=1e-9)
