"""Towers fitted with one pathway alone have no trace of the other, and stand beside shuffled pairs."""

from dataclasses import replace

import numpy as np
import pytest

from dina.analyses.decoded import Decoded
from dina.analyses.paired_resampling import PairedResampling
from dina.analyses.pathways.compute import analyse_pathway_refits, describe_refits, fit_without_pathways
from dina.checks import DataError
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.models.towers.tower import ImageTower


def test_fitted_without_a_pathway_no_weight_reads_its_channels(decoded: Decoded) -> None:
    towers = fit_without_pathways(decoded, ("global",))

    assert isinstance(towers.image_tower, GaborEnergy)
    assert isinstance(towers.neural_tower, ProjectiveFields)
    is_absent = np.array([channel.pathway == "global" for channel in towers.image_tower.channels])
    strength = towers.neural_tower.weights[:, :, : len(is_absent)].abs().amax(dim=(0, 1)).numpy()
    # eigenvectors in single precision leave a millionth where a channel is 0 throughout
    assert strength[is_absent].max() < 1e-3 * strength[~is_absent].min()
    assert not towers.encode_images(decoded.test.images[:3])[:, : len(is_absent)][:, is_absent].any()


def test_every_pathway_alone_stands_beside_all_and_beside_chance(decoded_scratch: Decoded) -> None:
    result = analyse_pathway_refits(decoded_scratch)

    found = {finding.name: finding for finding in result.findings()}
    assert list(found) == ["top1_all", "top1_local_alone", "top1_loss_local_alone", "top1_global_alone", "top1_loss_global_alone"]
    loss = found["top1_all"].value - found["top1_local_alone"].value
    assert found["top1_loss_local_alone"].value == pytest.approx(loss, abs=1e-12)
    # chance is 1 of 50; each of 50 queries is right with that probability: at most 4 in 95 % of permutations
    assert 0 <= found["top1_all"].null_low <= 0.02 <= found["top1_all"].null_high <= 0.08
    assert result.to_dataset()["top1"].sizes == {"pathways": 3, "query": 50}


def test_two_equally_good_fits_lie_inside_the_null_of_their_difference() -> None:
    generator, n, n_sessions = np.random.default_rng(0), 60, 200
    draw = PairedResampling.draw(n, 200, seed=0)
    inside = 0
    for _ in range(n_sessions):
        right = generator.random((2, n)) < 0.6  # both find six of ten images, each its own
        tables = np.where(right[:, :, None], np.eye(n), np.roll(np.eye(n), 1, axis=1))
        result = describe_refits(("local",), tables, np.arange(n), draw)
        inside += not {finding.name: finding for finding in result.findings()}["top1_loss_local_alone"].beats_null
    # 95 % are; of 200, 190 with a standard deviation of 3, and few resamples and whole images blur the ends
    assert 180 <= inside <= 199


def test_a_fit_that_scores_all_candidates_alike_and_one_that_guesses_lie_inside_the_null_of_their_difference() -> None:
    generator, n, n_sessions = np.random.default_rng(0), 50, 200
    draw, outside = PairedResampling.draw(n, 199, seed=0), 0
    for _ in range(n_sessions):
        guess = np.eye(n)[generator.integers(n, size=n)]
        result = describe_refits(("local",), np.stack([guess, np.full((n, n), 1 / n)]), np.arange(n), draw)
        outside += {finding.name: finding for finding in result.findings()}["top1_loss_local_alone"].beats_null
    # exchanged image by image, each image moves the mean by 1/n², and a guess without any hit (36 % of them) lies outside
    assert outside <= 19  # of 200, 10 with a standard deviation of 3


def test_towers_that_came_from_no_preset_are_refused(decoded_scratch: Decoded) -> None:
    class OneOfMyOwn(ImageTower):
        pass

    towers = decoded_scratch.towers
    mine = OneOfMyOwn(towers.image_tower.image_shape, towers.image_tower.map_shape, ("local", "global"))
    own = type(towers)(mine, towers.neural_tower, towers.comparison)
    with pytest.raises(DataError, match=r"needs the image tower of preset 'scratch'.* this one is a OneOfMyOwn"):
        analyse_pathway_refits(replace(decoded_scratch, fitted=own))
