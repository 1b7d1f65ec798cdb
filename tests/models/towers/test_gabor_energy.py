"""Gabor channels: separable filters against plain convolution, grey, phase, orientation, statistics, masks."""

import math

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from dina.checks import DataError
from dina.models.towers.image.gabor_bank import SeparableGabors
from dina.models.towers.image.gabor_energy import GaborEnergy


def noise_images(n=12, size=(24, 40), n_channels=1, seed=0):
    return torch.randn(n, n_channels, *size, generator=torch.Generator().manual_seed(seed))


def grating(phase, angle_deg, wavelength=8.0, size=(48, 48)):
    """Make a cosine grating whose wave vector points at an angle to the horizontal."""
    y, x = np.mgrid[: size[0], : size[1]] - 20.0
    angle = math.radians(angle_deg)
    wave = np.cos(2 * np.pi * (x * math.cos(angle) + y * math.sin(angle)) / wavelength + phase)
    return torch.from_numpy(wave.astype(np.float32))[None, None]


def gabor_on_paper(wavelength, angle):
    """Return a quadrature pair: unit norm, and zero mean for the even one."""
    half = math.ceil(1.25 * wavelength)
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(float)
    envelope = np.exp(-(x**2 + y**2) / (2 * (wavelength / 2) ** 2))
    along = 2 * np.pi * (x * math.cos(angle) + y * math.sin(angle)) / wavelength
    even, odd = envelope * np.cos(along), envelope * np.sin(along)
    even -= envelope * even.sum() / envelope.sum()
    return even / np.linalg.norm(even), odd / np.linalg.norm(odd)


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("step", [1, 2])
def test_separable_filters_equal_a_convolution_with_borders_repeated(number, step):
    plane = noise_images(1, (19, 26))[:, 0]
    gabors = SeparableGabors((19, 26), 6, 3, step)
    even, odd = gabors(plane)

    filters = gabor_on_paper(6, math.pi * number / 3)
    half = len(filters[0]) // 2
    padded = np.pad(plane[0].double().numpy(), half, mode="edge")
    rows, columns = slice(18 % step // 2, None, step), slice(25 % step // 2, None, step)
    for found, kernel in zip((even, odd), filters, strict=True):
        expected = correlate2d(padded, kernel, mode="valid")[rows, columns]
        # single precision, sums of some hundred terms of order 0.1
        np.testing.assert_allclose(found[0, number].numpy(), expected, atol=2e-5)


def test_a_grey_image_drives_no_filter():
    tower = GaborEnergy((3, 24, 40), n_contrasts=0)
    maps = tower.raw_maps(torch.full((1, 3, 24, 40), 0.7))[0]
    for channel, stands_for in zip(maps, tower.channels, strict=True):
        is_luminance = (stands_for.kind, stands_for.plane) == ("pooled", "luminance")
        # an energy is the root of squares plus 1e-8, 1e-4 for nothing; normalisation divides it by 0.3
        torch.testing.assert_close(channel, torch.full_like(channel, 0.7 if is_luminance else 0.0), atol=5e-4, rtol=0.0)


def test_energy_hardly_depends_on_the_phase_of_a_grating_and_phases_do():
    tower = GaborEnergy((1, 48, 48), n_contrasts=0)
    maps = torch.cat([tower.raw_maps(grating(phase, 0.0)) for phase in np.arange(8) * math.pi / 4])
    number = {c.kind: i for i, c in enumerate(tower.channels) if (c.wavelength_px, c.orientation_deg) == (8, 0.0)}
    # one place in the middle, where no filter reaches the border
    place = maps[:, :, 8, 8]
    spread = (place.amax(0) - place.amin(0)) / place.mean(0)
    # amplitudes of the pair differ by less than 0.5 %, other wavelengths' energies normalise hardly more
    assert float(spread[number["energy"]]) < 0.01
    # the rectified responses come and go; a place averages over about a third of a cycle
    assert float(spread[number["even+"]]) > 0.5


def test_each_orientation_answers_its_own_grating_most():
    tower = GaborEnergy((1, 48, 48), n_contrasts=0, has_phases=False)
    energies = [i for i, c in enumerate(tower.channels) if c.wavelength_px == 8 and c.kind == "energy" and not c.is_normalised]
    angles = [tower.channels[i].orientation_deg for i in energies]
    for angle in angles:
        answer = tower.raw_maps(grating(0.3, angle))[0, energies].mean((1, 2))
        assert angles[int(answer.argmax())] == angle


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("has_phases", [True, False])
def test_the_list_of_channels_is_that_of_the_maps(n_channels, has_phases):
    tower = GaborEnergy((n_channels, 24, 40), n_contrasts=4, has_phases=has_phases)
    assert tower.raw_maps(noise_images(2, n_channels=n_channels)).shape[1] == len(tower.channels)
    assert tower.map_shape[0] == len(tower.channels) + 4


@pytest.mark.parametrize("n_contrasts", [0, 4])
def test_after_learning_maps_of_the_training_images_are_standardised_and_equal_what_learning_returns(n_contrasts):
    images = noise_images(80) * torch.linspace(0.3, 2, 80)[:, None, None, None]
    tower = GaborEnergy((1, 24, 40), n_contrasts=n_contrasts)
    returned = tower.learn_statistics(images, chunk=7)
    with torch.no_grad():
        maps = tower(images)[:, : len(tower.channels)]
    # returned maps were stored in half precision twice (3 digits), values up to 5
    torch.testing.assert_close(returned.float(), maps, atol=0.02, rtol=0.01)
    if n_contrasts == 0:
        torch.testing.assert_close(maps.mean(0), torch.zeros_like(maps[0]), atol=1e-3, rtol=0.0)
        assert float((maps.std(0, correction=0) - 1).abs().median()) < 0.01


def test_what_remains_does_not_follow_contrast():
    contrast = torch.linspace(0.2, 2, 160)
    tower = GaborEnergy((1, 24, 40), n_contrasts=6)
    maps = tower.learn_statistics(noise_images(160) * contrast[:, None, None, None]).float()
    raw = tower.raw_maps(noise_images(160) * contrast[:, None, None, None])

    def follows(values):
        energy = values[:, 0].mean((1, 2))
        return abs(float(torch.corrcoef(torch.stack([energy, contrast]))[0, 1]))

    assert follows(raw) > 0.9
    assert follows(maps) < 0.1


def test_a_masked_pathway_is_at_its_expectation_and_the_other_is_untouched():
    tower = GaborEnergy((1, 24, 40), n_contrasts=4)
    images = noise_images(30)
    tower.learn_statistics(images)
    with torch.no_grad():
        full, local, without = tower(images), tower(images, ("global",)), tower(images, ("local",))
    pathway = np.array([c.pathway for c in tower.channels] + ["global"] * 4)
    assert float(local[:, pathway == "global"].abs().max()) == 0
    assert float(without[:, pathway == "local"].abs().max()) == 0
    assert torch.equal(local + without, full)


def test_too_small_an_image_is_refused_in_words():
    with pytest.raises(DataError, match="16"):
        GaborEnergy((1, 12, 40))
