"""A space that is needed loses much when dropped, one that is not loses nothing, and permuted weights stand beside trained ones."""

import numpy as np
import torch

from dina.models.spaces.contributions import Contribution, compare_with_permuted, drop_each
from dina.models.towers.image.efficientnet import read_efficientnet
from dina.recordings.simulator import simulate

N_IMAGES, SHAPE = 40, (1, 32, 48)


def test_dropping_a_space_loses_what_it_alone_explains() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second, noise, error = torch.randn(4, 300, 20, generator=generator)
    deviation = first + second + error  # a third of the variance each

    lost = drop_each(torch.stack([first, second, noise]), deviation)

    for one in lost[:2]:
        assert abs(one.loss - 1 / 3) < 0.05
        assert one.low < one.loss < one.high < one.low + 0.1
    assert abs(lost[2].loss) < 0.005
    doubled = drop_each(torch.stack([first, first, second]), deviation)
    assert abs(doubled[0].loss) < 0.005  # the other one says the same


def test_more_images_and_neurons_than_are_used_change_nothing_but_the_error() -> None:
    generator = torch.Generator().manual_seed(1)
    signal, noise = torch.randn(2, 700, 1200, generator=generator)

    lost = drop_each(torch.stack([signal, noise]), signal + noise)

    assert abs(lost[0].loss - 0.5) < 0.02


def test_trained_weights_explain_neurons_of_their_layer_better_than_permuted_ones() -> None:
    small = {"n_neurons": 8, "n_stimuli": N_IMAGES, "height": 32, "width": 48, "n_subunits": 30, "n_broad_factors": 4}
    pixels = torch.from_numpy(simulate("demo", seed=3, settings={**small, "n_spontaneous": 0}).images).float().reshape(-1, *SHAPE)
    images = (pixels - pixels.mean()) / pixels.std()
    layer = read_efficientnet(SHAPE).look_up(images, None)["block_7"].flatten(1)
    scores = torch.linalg.svd(layer - layer.mean(0), full_matrices=False)[0][:, :4]
    responses = (scores @ torch.from_numpy(np.random.default_rng(0).standard_normal((4, 12))).float()) / scores.std()
    nothing, maps = torch.zeros(1, N_IMAGES, 12), torch.zeros(N_IMAGES, 4, 8, 12)

    trained, permuted = compare_with_permuted(layer, images, maps, responses, nothing)

    assert trained.low > permuted.high
    assert trained.loss > 0.3


def test_a_contribution_is_written_in_per_cent() -> None:
    assert str(Contribution(0.123, 0.1, 0.15)) == "12.3 % (10.0 to 15.0)"
