"""What every tower in the tables must hold."""

import pytest
import torch

from dina.checks import DataError
from dina.models.towers.image import IMAGE_TOWERS
from dina.models.towers.neural import NEURAL_TOWERS
from dina.models.towers.tower import initialise

IMAGE_SHAPE = (1, 36, 52)
N_NEURONS = 61  # a number that no other axis of a tower has


def build_image_tower(name, image_shape=IMAGE_SHAPE):
    tower = IMAGE_TOWERS[name](image_shape=image_shape)
    initialise(tower, torch.Generator().manual_seed(0))
    return tower.eval()


def build_neural_tower(name):
    tower = NEURAL_TOWERS[name](n_neurons=N_NEURONS)
    initialise(tower, torch.Generator().manual_seed(0))
    return tower.eval()


def images_like(shape, dtype=torch.float32):
    return torch.randn(3, *shape, generator=torch.Generator().manual_seed(1)).to(dtype)


def responses_like(dtype=torch.float32):
    return torch.randn(3, N_NEURONS, generator=torch.Generator().manual_seed(1)).to(dtype)


@pytest.mark.parametrize("name", IMAGE_TOWERS)
@pytest.mark.parametrize("image_shape", [(1, 36, 52), (3, 31, 31), (1, 68, 270)])
def test_image_maps_have_the_announced_shape(name, image_shape):
    tower = build_image_tower(name, image_shape)
    with torch.no_grad():
        maps = tower(images_like(image_shape))
    assert tuple(maps.shape) == (3, *tower.map_shape)
    assert maps.isfinite().all()


@pytest.mark.parametrize("name", NEURAL_TOWERS)
def test_neural_maps_have_the_announced_shape(name):
    tower = build_neural_tower(name)
    maps = tower(responses_like())
    assert tuple(maps.shape) == (3, *tower.map_shape)
    assert maps.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", [*IMAGE_TOWERS, *NEURAL_TOWERS])
def test_gradient_reaches_the_input_and_dtype_is_kept(name, dtype):
    is_image = name in IMAGE_TOWERS
    tower = (build_image_tower(name) if is_image else build_neural_tower(name)).to(dtype)
    seen = (images_like(IMAGE_SHAPE, dtype) if is_image else responses_like(dtype)).requires_grad_()

    maps = tower(seen)
    (maps * torch.randn(maps.shape, generator=torch.Generator().manual_seed(4)).to(dtype)).sum().backward()

    assert maps.dtype == dtype
    assert maps.device == seen.device
    assert bool((seen.grad.flatten(1).abs().sum(1) > 0).all())


@pytest.mark.parametrize("name", [*IMAGE_TOWERS, *NEURAL_TOWERS])
def test_evaluation_is_the_same_twice_and_leaves_no_trace(name):
    is_image = name in IMAGE_TOWERS
    tower = build_image_tower(name) if is_image else build_neural_tower(name)
    seen = images_like(IMAGE_SHAPE) if is_image else responses_like()
    before = {key: value.clone() for key, value in tower.state_dict().items()}

    with torch.no_grad():
        first, second = tower(seen), tower(seen)

    assert torch.equal(first, second)
    assert all(torch.equal(value, before[key]) for key, value in tower.state_dict().items())


@pytest.mark.parametrize("name", [*IMAGE_TOWERS, *NEURAL_TOWERS])
def test_a_map_does_not_depend_on_the_rest_of_the_batch(name):
    is_image = name in IMAGE_TOWERS
    tower = build_image_tower(name) if is_image else build_neural_tower(name)
    seen = images_like(IMAGE_SHAPE) if is_image else responses_like()
    with torch.no_grad():
        # a row alone and in a batch differ by rounding of single precision
        torch.testing.assert_close(tower(seen)[1:2], tower(seen[1:2]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", [*IMAGE_TOWERS, *NEURAL_TOWERS])
def test_the_same_generator_gives_the_same_weights_whatever_the_global_seed(name):
    build = build_image_tower if name in IMAGE_TOWERS else build_neural_tower
    first = build(name).state_dict()
    torch.rand(7)  # moves the global generator on
    second = build(name).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("name", NEURAL_TOWERS)
def test_permuting_neurons_together_with_their_weights_leaves_the_maps(name):
    tower = build_neural_tower(name)
    order = torch.randperm(N_NEURONS, generator=torch.Generator().manual_seed(5))
    responses = responses_like()
    expected = tower(responses)

    with torch.no_grad():
        for weights in [*tower.parameters(), *tower.buffers()]:
            for axis, extent in enumerate(weights.shape):
                if extent == N_NEURONS:
                    weights.copy_(weights.index_select(axis, order))

    # sums run in another order: rounding of single precision
    torch.testing.assert_close(tower(responses[:, order]), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", IMAGE_TOWERS)
def test_masking_each_pathway_changes_the_maps_and_unknown_pathways_are_refused(name):
    tower = build_image_tower(name)
    assert len(tower.pathways) >= 1
    seen = images_like(IMAGE_SHAPE)
    with torch.no_grad():
        whole = tower(seen)
        for pathway in tower.pathways:
            assert float((tower(seen, masked=(pathway,)) - whole).abs().max()) > 0
    with pytest.raises(DataError, match="Unknown pathway 'loca1'"):
        tower(seen, masked=("loca1",))


@pytest.mark.parametrize("name", IMAGE_TOWERS)
def test_images_of_another_shape_are_refused(name):
    with pytest.raises(DataError, match=r"images must be \(n_images, 1, 36, 52\).*got \(2, 1, 36, 53\)"):
        build_image_tower(name)(torch.zeros(2, 1, 36, 53))


@pytest.mark.parametrize("name", NEURAL_TOWERS)
def test_responses_of_another_number_of_neurons_are_refused(name):
    with pytest.raises(DataError, match="n_neurons = 61"):
        build_neural_tower(name)(torch.zeros(2, 60))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", [*IMAGE_TOWERS, *NEURAL_TOWERS])
def test_a_gpu_gives_the_maps_of_the_cpu(name):
    is_image = name in IMAGE_TOWERS
    tower = build_image_tower(name) if is_image else build_neural_tower(name)
    seen = images_like(IMAGE_SHAPE) if is_image else responses_like()
    with torch.no_grad():
        expected, found = tower(seen), tower.cuda()(seen.cuda())
    assert found.device.type == "cuda"
    # convolutions on a GPU sum in another order, and min-max scaling magnifies the difference
    torch.testing.assert_close(found.cpu(), expected, atol=2e-3, rtol=2e-3)
