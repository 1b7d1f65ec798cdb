"""Occlusion computed where a window reaches, against encoding every occluded image anew and against Captum.

Towers have the size and kind of the preset `default` with random fields, noise and statistics: what is computed does not depend on what
was learnt. Times are per image and window. The windows of Captum are squares; as many are compared as ours has Gaussian ones.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from benchmarks.speed.contest import Line, Side, compete, exponent, missing
from torch import Tensor

from dina.analyses.occlusion.occlusion_windows import GaborOcclusion, OccludedImages, Sweep, occlude_image_by_image, place_windows
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.training.aligned_towers import AlignedTowers
from dina.training.presets import RecordingShape, build_towers

GOAL = 3.0  # aim: 8
DEVIATION, SPACING = 4.25, 8.5  # pixels
EXTENT = 17  # of Captum's squares
AT_ONCE = 16
Given = tuple[AlignedTowers, Tensor, Tensor]


def measure(*, quick: bool) -> Iterator[Line]:
    """Compare with both forms; images, windows and the width of images grow."""
    n_neurons, n_images, size = (20, 2, (17, 34)) if quick else (2000, 8, (68, 270))
    given = towers, images, neural = _given(n_neurons, n_images, size)
    whole = _sweep(size, SPACING)
    n_windows = len(whole.rows) * len(whole.columns)
    middle = slice(len(whole.columns) // 2 - 1, len(whole.columns) // 2 + 1)
    part = Sweep("part", DEVIATION, "mean", whole.rows, whole.columns[middle], is_contrast_held=False)
    ours = _occlude(given, whole)
    n_part = len(part.rows) * len(part.columns)

    def anew() -> OccludedImages:
        return occlude_image_by_image(towers, images[:1], neural[:1], torch.ones(1), part)

    expected = anew().score
    difference = float(np.abs(ours().score[:1, :, middle] - expected).max() / np.abs(expected).max())
    line = Line(
        work=f"occlusion: {n_images} images of {size[0]} × {size[1]}, {n_windows} windows, {n_neurons:,} neurons",
        peer=f"every occluded image encoded anew ({n_part} windows of one image)",
        goal=f"≥ {GOAL:g} ×, aim 8 ×",
        agreement=f"{difference:.0e}",
    )
    line.times = compete(Side(ours), Side(anew, share=n_part / (n_images * n_windows)), quick=quick)
    line.is_reached = line.times.ratio[0] >= GOAL
    line.growth = _growth(n_neurons, size, quick=quick)
    yield line
    beside = Line(line.work, "Captum's Occlusion, a fixed square, 16 at once (one image)", line.goal, note=missing("captum"))
    if not beside.note:
        captum, n_squares = _captum(towers, images[:1], neural[:1])
        beside.times = compete(Side(ours), Side(captum, share=n_squares / (n_images * n_windows)), quick=quick)
        beside.is_reached = beside.times.ratio[0] >= GOAL
        beside.agreement = "other windows"
    yield beside


def _growth(n_neurons: int, size: tuple[int, int], *, quick: bool) -> dict[str, float]:
    images, widths = ((1, 2), (17, 34)) if quick else ((4, 8, 16, 32), (68, 135, 270, 540))
    spacings = (17.0, 8.5) if quick else (17.0, 12.0, 8.5, 6.0)
    windows = {len(_sweep(size, spacing).rows) * len(_sweep(size, spacing).columns): spacing for spacing in spacings}
    few = images[0]
    return {
        "images": exponent(lambda n: _occlude(_given(n_neurons, n, size), _sweep(size, SPACING)), images),
        "windows": exponent(lambda n: _occlude(_given(n_neurons, few, size), _sweep(size, windows[n])), tuple(windows)),
        # windows are as many in each image, so that the map alone grows
        "map size": exponent(
            lambda n: _occlude(_given(n_neurons, few, (size[0], n)), _sweep((size[0], widths[0]), SPACING)), widths
        ),
    }


def _sweep(size: tuple[int, int], spacing: float) -> Sweep:
    return Sweep("one", DEVIATION, "mean", *place_windows(size, spacing), is_contrast_held=False)


def _given(n_neurons: int, n_images: int, size: tuple[int, int]) -> Given:
    """Make towers, images and the maps of responses to them."""
    generator = torch.Generator().manual_seed(0)
    towers = build_towers("default", None, RecordingShape(1, *size, n_neurons), seed=0).eval()
    image_tower, fields = towers.image_tower, towers.neural_tower
    if not (isinstance(image_tower, GaborEnergy) and isinstance(fields, ProjectiveFields)):
        raise TypeError("The preset `default` must have a Gabor tower and projective fields; the row needs others now.")
    image_tower.learn_statistics(_images(64, size, generator))
    fields.width.fill_(0.75)
    fields.loadings.normal_(0.0, 0.1, generator=generator)
    # fields lie in the middle half of the screen, as those of a recording do
    fields.centre[:, 1] = (fields.centre[:, 1] / 2 + fields.map_shape[2] / 4).round()
    images = _images(n_images, size, generator)
    with torch.inference_mode():
        return towers, images, fields(torch.randn(n_images, n_neurons, generator=generator))


def _images(n: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    return 2 * torch.nn.functional.avg_pool2d(torch.randn(n, 1, *size, generator=generator), 5, 1, 2)


def _occlude(given: Given, sweep: Sweep) -> Callable[[], OccludedImages]:
    return lambda: GaborOcclusion(*given).occlude(sweep)


def _captum(towers: AlignedTowers, image: Tensor, neural: Tensor) -> tuple[Callable[[], Tensor], int]:
    """Return Captum's sweep over one image, and how many windows it has."""
    from captum.attr import Occlusion  # optional: timed only where it is installed

    height, width = image.shape[2:]
    extent = min(EXTENT, height)
    n_squares = (-(-(height - extent) // extent) + 1) * (-(-(width - extent) // extent) + 1)

    def score(given: Tensor) -> Tensor:
        return towers.comparison(neural, towers.image_tower(given), torch.ones(1))[0]

    def occlude() -> Tensor:
        with torch.no_grad():
            found: Tensor = Occlusion(score).attribute(
                image, (1, extent, extent), strides=(1, extent, extent), perturbations_per_eval=AT_ONCE
            )
        return found

    return occlude, n_squares
