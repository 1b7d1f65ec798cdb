"""Neurons that add up known Gabors are taken apart into these, and noise into no more than one."""

import numpy as np
import pytest
import torch

from dina.models.gabor_pursuit import GaborGrid, GaborWindow, pursue

HEIGHT, WIDTH, N_IMAGES = 40, 60, 900


@pytest.fixture(scope="module")
def grid() -> GaborGrid:
    generator = np.random.default_rng(0)
    images = generator.standard_normal((N_IMAGES, 1, HEIGHT, WIDTH))
    spectrum = np.hypot(np.fft.fftfreq(HEIGHT)[:, None], np.fft.fftfreq(WIDTH)[None])
    images = np.fft.ifft2(np.fft.fft2(images) / np.maximum(spectrum, 1 / WIDTH)).real
    return GaborGrid.of((images / images.std()).astype(np.float32))


@pytest.fixture(scope="module")
def window(grid: GaborGrid) -> GaborWindow:
    return GaborWindow(grid, 20, 30, 6)


def unit(values: torch.Tensor) -> torch.Tensor:
    values = values - values.mean(0)
    return values / values.norm(dim=0)


def raw_terms(grid: GaborGrid, window: GaborWindow, number: int) -> torch.Tensor:
    """Even phase, odd phase and energy of one Gabor of the window, from the maps themselves."""
    wave, angle, row, column = np.unravel_index(number, window.shape)
    even, odd = grid.maps[:, wave, :, angle, window.rows.start + row, window.columns.start + column].float().unbind(1)
    return torch.stack([even, odd, torch.hypot(even, odd)], dim=1)


def test_gains_are_what_regression_on_the_three_terms_explains(grid: GaborGrid, window: GaborWindow) -> None:
    responses = unit(torch.from_numpy(np.random.default_rng(1).standard_normal((N_IMAGES, 2)).astype(np.float32)))
    gains = window.gains(responses)
    for number in (0, 777, gains.shape[1] - 1):
        terms = raw_terms(grid, window, number)
        terms = terms - terms.mean(0)
        left = responses - terms @ torch.linalg.lstsq(terms, responses).solution
        torch.testing.assert_close(gains[:, number], 1 - left.square().sum(0), atol=2e-5, rtol=5e-3)


def test_terms_of_the_same_images_are_the_same(grid: GaborGrid, window: GaborWindow) -> None:
    number = torch.tensor([[5, 900]])
    torch.testing.assert_close(window.of_other_images(grid, number), window.of_gabors(number), atol=1e-5, rtol=1e-4)


def test_a_sum_of_two_gabors_is_taken_apart(grid: GaborGrid, window: GaborWindow) -> None:
    planted = [np.ravel_multi_index(place, window.shape) for place in ((1, 2, 3, 3), (2, 6, 9, 8))]
    simple, energetic = (raw_terms(grid, window, int(number)) for number in planted)
    drive = unit(simple[:, :1]) + 0.8 * unit(energetic[:, 2:])
    noise = torch.from_numpy(np.random.default_rng(2).standard_normal((N_IMAGES, 2)).astype(np.float32))
    found = pursue(window, unit(torch.cat([drive + drive.std() * noise[:, :1], noise[:, 1:]], dim=1)))

    assert (found.variance[:, 0] > 0).tolist() == [True, True, False, False]
    order = found.variance[:2, 0].argsort(descending=True)
    at = torch.stack([found.orientation, found.row, found.column], dim=-1)[:2, 0][order]
    np.testing.assert_allclose(at.numpy(), [[2, 3, 3], [6, 9, 8]], atol=0.5)  # half a place, half an orientation
    wanted = np.log2(grid.wavelengths[1:3])
    np.testing.assert_allclose(found.wavelength[:2, 0][order].log2().numpy(), wanted, atol=0.3)  # half way to the next
    assert (found.variance[:, 1] > 0).tolist() == [True, False, False, False]  # noise gets the one that all get


def test_places_between_those_of_the_grid_are_found(grid: GaborGrid) -> None:
    coarse = GaborGrid(grid.wavelengths, grid.rows[::2], grid.columns[::2], grid.maps[..., ::2, ::2], grid.typical)
    fine, window = GaborWindow(grid, 20, 30, 6), GaborWindow(coarse, 10, 15, 3)
    number = int(np.ravel_multi_index((3, 2, 7, 5), fine.shape))  # an odd row and an odd column: between coarse places
    found = pursue(window, unit(raw_terms(grid, fine, number)[:, 2:]))
    share = found.variance[:, 0] / found.variance[:, 0].sum()
    row, column = (
        2 * float((share * at[:, 0]).sum() + part.start)
        for at, part in ((found.row, window.rows), (found.column, window.columns))
    )
    assert (row, column) == pytest.approx((fine.rows.start + 7, fine.columns.start + 5), abs=0.3)


def test_wavelengths_of_the_grid_are_found_as_they_are(grid: GaborGrid, window: GaborWindow) -> None:
    assert grid.wavelengths == (4, 6, 8, 11, 16)  # whole pixels are no half octaves: 5.66 and 11.3
    numbers = [np.ravel_multi_index((wave, 2, 6, 6), window.shape) for wave in (1, 2, 3)]
    found = pursue(window, unit(torch.cat([raw_terms(grid, window, int(number))[:, :1] for number in numbers], dim=1)))
    octaves = found.wavelength.gather(0, found.variance.argmax(0)[None])[0].log2().numpy()
    np.testing.assert_allclose(octaves, np.log2([6, 8, 11]), atol=0.03)


def test_unrefined_positions_are_those_of_the_chosen_gabors(grid: GaborGrid, window: GaborWindow) -> None:
    wanted = unit(torch.from_numpy(np.random.default_rng(3).standard_normal((N_IMAGES, 3)).astype(np.float32)))
    plain, refined = pursue(window, wanted, is_refined=False), pursue(window, wanted)
    assert torch.equal(plain.number, refined.number)
    assert torch.equal(plain.coefficients, refined.coefficients)
    assert torch.equal(plain.variance, refined.variance)
    wave, *others = np.unravel_index(plain.number.numpy(), window.shape)
    np.testing.assert_allclose(plain.wavelength.numpy(), np.array(grid.wavelengths)[wave], rtol=1e-6)
    np.testing.assert_array_equal(torch.stack([plain.orientation, plain.row, plain.column]).numpy(), others)
