"""The two image towers: published sizes, pathways, and the choice that the released code leaves open."""

import math

import pytest
import torch

from dina.checks import DataError
from dina.models.towers.image import paper_dual_stream, two_pathway
from dina.models.towers.image.paper_dual_stream import DualStream, MixedBlock
from dina.models.towers.image.two_pathway import TwoPathway
from dina.models.towers.tower import initialise


def drawn(module):
    initialise(module, torch.Generator().manual_seed(0))
    return module.eval()


def some_images(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def test_the_dual_stream_has_about_a_million_parameters():
    n_parameters = sum(p.numel() for p in DualStream((1, 68, 270)).parameters())
    # by hand: patches 1,088 and 32,896, three blocks of 55,360, four of 217,216, read-out 129
    assert n_parameters == 1_088 + 3 * 55_360 + 32_896 + 4 * 217_216 + 129
    assert n_parameters == pytest.approx(1.05e6, rel=0.03)  # "about 1.05 million"; ours has biases everywhere


def test_the_grids_are_the_published_ones():
    seen = {}
    tower = drawn(DualStream((1, 68, 270)))
    tower.stage1[0].local.register_forward_hook(lambda *a: seen.update(stage1=tuple(a[2].shape[1:])))
    tower.stage2[0].local.register_forward_hook(lambda *a: seen.update(stage2=tuple(a[2].shape[1:])))
    tower.stage1[0].norm.register_forward_hook(lambda *a: seen.update(places1=a[2].shape[1]))
    tower.stage2[0].norm.register_forward_hook(lambda *a: seen.update(places2=a[2].shape[1]))
    with torch.no_grad():
        maps = tower(some_images(1, 1, 68, 270))
    assert seen == {"stage1": (32, 17, 67), "stage2": (64, 8, 33), "places1": 16, "places2": 16}
    assert tuple(maps.shape) == (1, 1, 16, 64)


def test_two_pathways_meet_on_the_published_coarse_grid():
    assert TwoPathway((1, 68, 270)).map_shape == (8, 9, 34)


def test_only_the_readout_of_a_frozen_backbone_learns():
    tower = drawn(DualStream((1, 32, 32), is_backbone_trained=False))
    assert sum(p.numel() for p in tower.parameters() if p.requires_grad) == 129
    tower(some_images(2, 1, 32, 32)).sum().backward()
    assert {name for name, p in tower.named_parameters() if p.grad is not None} == {"readout.weight", "readout.bias"}


def test_the_released_block_differs_from_the_published_one_in_residuals_and_heads():
    published, released = MixedBlock(64, 8, 1, 2, True), MixedBlock(64, 8, 1, 1, False)
    assert published.local_reads_global.n_heads == 2
    assert released.local_reads_global.n_heads == 1
    maps = some_images(1, 64, 17, 67)
    drawn(published)
    drawn(released)
    with torch.no_grad():
        assert not torch.allclose(published(maps), released(maps))


def plain_block(block, maps, masked=()):
    """Apply a mixed block layer by layer, as it is drawn: nothing left out, nothing cut into pieces."""
    maps = maps + block.position(maps)
    fine, coarse = block.entrance(maps).chunk(2, dim=1)
    fine, size = fine + block.local(fine), fine.shape[2:]
    rows, columns = (slice(0, max(2, extent // block.coarseness) * block.coarseness, block.coarseness) for extent in size)
    coarse = coarse[:, :, rows, columns]
    coarse_size = coarse.shape[2:]
    fine, coarse = fine.flatten(2).mT, coarse.flatten(2).mT
    normed = block.norm(coarse)
    coarse = coarse + block.self_attention(normed, normed)
    fine, coarse = fine * ("local" not in masked), coarse * ("global" not in masked)
    to_fine, to_coarse = block.local_reads_global(fine, coarse), block.global_reads_local(coarse, fine)
    if block.residual_cross_attention:
        to_fine, to_coarse = fine + to_fine, coarse + to_coarse
    fine, coarse = to_fine * ("local" not in masked), to_coarse * ("global" not in masked)
    fine, coarse = fine.mT.unflatten(2, size), coarse.mT.unflatten(2, coarse_size)
    coarse = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
    maps = maps + block.merge(torch.cat((fine, coarse), 1))
    return maps + block.perceptron(maps)


@pytest.mark.parametrize(("is_residual", "masked"), [(True, ()), (False, ("local",)), (True, ("global",))])
def test_a_block_is_its_layers_one_after_the_other(monkeypatch, is_residual, masked):
    monkeypatch.setattr(paper_dual_stream, "PLACES_AT_ONCE", 50)  # 3 × 9 × 17 places: nine full pieces and a rest
    block = MixedBlock(16, 4, 1, 2, is_residual).double()
    initialise(block, torch.Generator().manual_seed(0))
    maps = some_images(3, 16, 9, 17).double()
    found = []
    for apply in (block, lambda *given: plain_block(block, *given)):
        given = maps.clone().requires_grad_()
        out = apply(given, masked)
        found.append((out, *torch.autograd.grad(out.sin().sum(), [given, *block.parameters()])))
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-6, rtol=1e-6)  # weights of interpolation are in single precision


def test_min_max_maps_of_unrelated_images_look_alike_and_centred_ones_do_not():
    maps = torch.rand(2, 1, 16, 64, generator=torch.Generator().manual_seed(2))
    from_min_max = torch.nn.functional.cosine_similarity(maps[0].flatten(), maps[1].flatten(), dim=0)
    centred = maps - maps.mean((2, 3), keepdim=True)
    from_centred = torch.nn.functional.cosine_similarity(centred[0].flatten(), centred[1].flatten(), dim=0)
    # uniform noise: E[xy] / E[x²] = (1/4) / (1/3) = 3/4; the centred cosine is 0 within 3 / sqrt(1024)
    assert float(from_min_max) == pytest.approx(0.75, abs=0.05)
    assert abs(float(from_centred)) < 3 / math.sqrt(1024)


def test_min_max_maps_span_zero_to_one():
    with torch.no_grad():
        maps = drawn(DualStream((1, 32, 48)))(some_images(4, 1, 32, 48))
    torch.testing.assert_close(maps.amin((1, 2, 3)), torch.zeros(4))
    torch.testing.assert_close(maps.amax((1, 2, 3)), torch.ones(4))


def test_masking_both_pathways_of_the_two_pathway_tower_leaves_only_its_bias():
    tower = drawn(TwoPathway((1, 32, 48)))
    with torch.no_grad():
        maps = tower(some_images(2, 1, 32, 48), masked=("local", "global"))
    torch.testing.assert_close(maps, tower.merge.bias.detach()[None, :, None, None].expand_as(maps))


def test_images_that_a_cpu_encodes_one_after_the_other_have_the_maps_and_gradients_of_all_together(monkeypatch):
    tower = drawn(TwoPathway((1, 24, 32)))
    images, upstream = some_images(5, 1, 24, 32), some_images(5, *tower.map_shape)
    found, seen = [], []
    tower.merge.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    for n_pixels in (10**9, 1):
        monkeypatch.setattr(two_pathway, "PIXELS_AT_ONCE", n_pixels)
        tower.zero_grad()
        maps = tower(images)
        maps.backward(upstream)
        found.append((maps.detach(), [weight.grad for weight in tower.parameters()]))
    assert seen == [5, 1, 1, 1, 1, 1]
    torch.testing.assert_close(found[1], found[0], rtol=1e-5, atol=1e-5)


def test_a_masked_local_pathway_no_longer_sees_a_pixel_between_the_global_places():
    tower = drawn(TwoPathway((1, 64, 64)))
    images = some_images(1, 1, 64, 64).requires_grad_()
    tower(images, masked=("local",)).sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in tower.local.parameters())


@pytest.mark.parametrize(("tower", "smallest"), [(DualStream, 16), (TwoPathway, 8)])
def test_images_too_small_are_refused_with_the_size_that_would_do(tower, smallest):
    with pytest.raises(DataError, match=f"at least {smallest} x {smallest} pixels; got {smallest - 1} x 40"):
        tower((1, smallest - 1, 40))
    with torch.no_grad():
        assert drawn(tower((3, smallest, smallest)))(some_images(2, 3, smallest, smallest)).isfinite().all()


def test_the_first_stage_is_read_out_from_finer_places_and_without_the_second():
    towers = {stage: drawn(DualStream((1, 68, 270), stage=stage)) for stage in (1, 2)}
    seen = {}
    for stage, tower in towers.items():
        tower.readout.register_forward_hook(lambda *a, stage=stage: seen.update({stage: tuple(a[2].shape[1:])}))
        assert tower(some_images(2, 1, 68, 270)).shape == (2, 1, 16, 64)
    assert seen == {1: (1, 17, 67), 2: (1, 8, 33)}
    assert not [name for name, _ in towers[1].named_parameters() if name.startswith(("embed2", "stage2"))]
