"""What every objective in the table must hold."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dina.models.towers.tower import initialise
from dina.training.comparison import CosineComparison
from dina.training.objectives import OBJECTIVES, EncodedBatch

N, MAP_SHAPE = 24, (4, 6, 8)


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def some_maps(seed):
    """Maps of images: the image itself, its category and its features each have a channel, the last is the image's own."""
    category = torch.arange(N) % 3
    image = random(N, 1, 6, 8, seed=seed)
    pattern = 4 * random(3, 1, 6, 8, seed=100)[category]  # so that images of a category are alike
    features = random(N, 5, seed=seed + 1)
    plane = F.pad(features, (0, 43)).reshape(N, 1, 6, 8)
    maps = torch.cat([image, pattern, plane, random(N, 1, 6, 8, seed=seed + 2)], dim=1)
    # every pixel of a place is alike, so that one number for each place rebuilds the image
    return maps, F.interpolate(image, scale_factor=4.0), category, features


def some_batch(objective, agreement=0.5, scale=1.0):
    """Make a batch whose neural maps are the image maps to some part, and for the rest maps of other images."""
    image_maps, images, category, features = some_maps(seed=0)
    foreign, *_ = some_maps(seed=50)
    # other images have other categories, too
    foreign = foreign[torch.randperm(N, generator=torch.Generator().manual_seed(9))]
    neural_maps = agreement * image_maps + (1 - agreement) * foreign
    target = features if objective.needs == "features" else objective.describe(images.numpy(), MAP_SHAPE)
    objective.start(MAP_SHAPE, target, category)
    initialise(objective, torch.Generator().manual_seed(0))
    scores = CosineComparison(0.1, is_centred=True)(neural_maps, image_maps, torch.ones(N)).detach()
    _, _, partner, share = objective.mix(random(N, 5, seed=3), torch.ones(N), np.random.default_rng(0))
    group = torch.tensor([0, 1, 1, *range(3, N)])
    maps = ((scale * neural_maps).requires_grad_(), (scale * image_maps).requires_grad_())
    return EncodedBatch(*maps, (scale * scores).requires_grad_(), group, category, target.float(), partner, share)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_the_loss_is_one_finite_number_with_finite_gradients_also_for_huge_scores(name, scale):
    objective = OBJECTIVES[name]()
    batch = some_batch(objective, scale=scale)
    loss = objective(batch)
    loss.backward()
    assert loss.shape == ()
    assert loss.isfinite()
    learning = [batch.neural_maps, batch.image_maps, batch.scores, *objective.parameters()]
    gradients = [tensor.grad for tensor in learning if tensor.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_permuting_the_batch_leaves_the_loss(name):
    objective = OBJECTIVES[name]()
    batch = some_batch(objective)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(1))
    permuted = {field: getattr(batch, field)[order] for field in batch._fields}
    permuted["scores"] = batch.scores[order][:, order]
    permuted["partner"] = order.argsort()[batch.partner[order]]
    # sums run in another order: rounding of single precision
    torch.testing.assert_close(objective(EncodedBatch(**permuted)), objective(batch), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [name for name, made in OBJECTIVES.items() if not made().reads_maps])
def test_objectives_of_scores_alone_need_no_maps(name):
    objective = OBJECTIVES[name]()
    batch = some_batch(objective)
    without = batch._replace(neural_maps=torch.zeros(0), image_maps=torch.zeros(0))
    assert torch.equal(objective(without), objective(batch))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_loss_falls_when_pairs_agree(name):
    objective = OBJECTIVES[name]()
    batches = [some_batch(objective, agreement) for agreement in (0.0, 0.5, 1.0)]
    # responses are not blended here, and a head first learns to read the maps of pairs that agree
    batches = [batch._replace(partner=torch.arange(N), share=torch.ones(N)) for batch in batches]
    learning = list(objective.parameters())
    optimiser = torch.optim.Adam(learning, lr=0.01) if learning else None
    for _ in range(60 if optimiser else 0):
        optimiser.zero_grad()
        objective(EncodedBatch(*(field.detach() for field in batches[-1]))).backward()
        optimiser.step()
    losses = [float(objective(batch).detach()) for batch in batches]
    assert losses[0] > losses[1] > losses[2]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_weights_of_a_head_are_drawn_from_the_seed_alone(name):
    first, second = OBJECTIVES[name](), OBJECTIVES[name]()
    some_batch(first)
    torch.rand(3)  # the global generator plays no part
    some_batch(second)
    assert all(torch.equal(tensor, second.state_dict()[key]) for key, tensor in first.state_dict().items())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_what_mixing_says_about_itself_is_true(name):
    responses, presentations = random(N, 5, seed=3), torch.arange(1.0, N + 1)
    mixed, worth, partner, share = OBJECTIVES[name]().mix(responses, presentations, np.random.default_rng(0))
    is_blended = share < 1
    assert partner[is_blended].unique().numel() == is_blended.sum()  # no response is blended into two others
    torch.testing.assert_close(mixed, share[:, None] * responses + (1 - share[:, None]) * responses[partner])
    torch.testing.assert_close(1 / worth, share**2 / presentations + (1 - share) ** 2 / presentations[partner])
