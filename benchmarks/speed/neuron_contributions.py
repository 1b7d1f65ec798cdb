"""The closed-form loss of every neuron on every trial, against silencing neurons by Captum's FeatureAblation in batches.

Both give what the margin of a trial loses when a neuron's response is set to its mean. Captum runs the neural tower and the comparison
on batches of responses with one neuron silenced in each row; it silences some neurons of one trial, and its time is multiplied up,
because all would take hours. What does not depend on the response is made once for both.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from benchmarks.speed.contest import Line, Side, compete, exponent, missing, relative_difference
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from dina.analyses.closed_readouts import margins
from dina.analyses.neuron_readout import readout_of
from dina.models.towers.neural.feedforward import LowRank
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.models.towers.tower import ImageTower, initialise
from dina.training.aligned_towers import AlignedTowers
from dina.training.comparison import CosineComparison, LikelihoodComparison

GOAL, LARGEST_ERROR = 1000.0, 1e-6
BATCH, N_SILENCED = 100, 99  # captum counts the neurons that are not silenced as one feature more
# Maps of the size of `default` and of `scratch`, on images of 68 × 270 pixels.
MAPS = {"default": (105, 17, 68), "scratch": (8, 9, 34)}
TINY_MAPS = {"default": (6, 3, 4), "scratch": (2, 3, 4)}


class GivenMaps(ImageTower):
    """An image tower that looks maps up: what it costs to make them is not at issue here."""

    def __init__(self, maps: Tensor) -> None:
        super().__init__((1, 1, 1), (int(maps.shape[1]), int(maps.shape[2]), int(maps.shape[3])), ())
        self.register_buffer("maps", maps)

    def forward(self, images: Tensor, masked: tuple[str, ...] = ()) -> Tensor:
        """Return the maps whose numbers the images hold."""
        maps: Tensor = self.maps[images.flatten().long()]
        return maps


def measure(*, quick: bool) -> Iterator[Line]:
    """Compare towers as those of `default` and of `scratch`; neurons, images (trials and gallery) and maps grow."""
    n_neurons, n_images = (110, 6) if quick else (10_000, 280)
    for preset, shape in (TINY_MAPS if quick else MAPS).items():
        line = Line(
            work=f"contributions as of `{preset}`: {n_neurons:,} neurons × {n_images} trials, gallery {n_images}",
            peer=f"Captum's FeatureAblation, {BATCH} at once ({N_SILENCED} neurons of one trial)",
            goal=f"≥ {GOAL:,g} ×, error ≤ {LARGEST_ERROR:.0e}",
            note=missing("captum"),
        )
        towers = make_towers(preset, n_neurons, n_images, shape)
        responses, target = _trials(n_neurons, n_images)
        with FlopCounterMode(display=False) as counter:
            _all_lost(towers, responses, target)()
        line.gflop = 1e-9 * counter.get_total_flops()
        if not line.note:
            compared = _all_lost(towers, responses, target)()[0, :N_SILENCED]
            difference = relative_difference(compared, _captum(towers, responses, target)()[0, :N_SILENCED])
            error = _error(towers, responses, target)
            line.times = compete(
                Side(_all_lost(towers, responses, target)),
                Side(_captum(towers, responses, target), share=N_SILENCED / (n_neurons * n_images)),
                quick=quick,
            )
            line.is_reached = line.times.ratio[0] >= GOAL and error <= LARGEST_ERROR
            line.agreement = f"{difference:.0e} in float32, {error:.0e} in float64"
        line.growth = _growth(preset, shape, quick=quick)
        yield line


def make_towers(preset: str, n_neurons: int, n_gallery: int, shape: tuple[int, int, int]) -> AlignedTowers:
    """Make towers of the size of a preset with random weights."""
    generator = torch.Generator().manual_seed(0)
    image_tower = GivenMaps(torch.randn(n_gallery, *shape, generator=generator))
    if preset == "default":
        fields = ProjectiveFields(n_neurons, shape, order=2, n_components=min(512, n_neurons))
        initialise(fields, generator)
        fields.loadings.normal_(0, 0.03, generator=generator)
        return AlignedTowers(image_tower, fields, LikelihoodComparison(fields)).eval()
    low_rank = LowRank(n_neurons, shape, rank=min(256, n_neurons))
    initialise(low_rank, generator)
    return AlignedTowers(image_tower, low_rank, CosineComparison(0.05, is_centred=True)).eval()


def _trials(n_neurons: int, n_images: int) -> tuple[Tensor, Tensor]:
    return torch.randn(n_images, n_neurons, generator=torch.Generator().manual_seed(1)), torch.arange(n_images)


def _growth(preset: str, shape: tuple[int, int, int], *, quick: bool) -> dict[str, float]:
    neurons, images = ((16, 32), (4, 8)) if quick else ((1250, 2500, 5000, 10_000), (35, 70, 140, 280))
    channels = tuple(max(1, round(shape[0] * share)) for share in ((0.5, 1) if quick else (0.125, 0.25, 0.5, 1)))

    def work(n_neurons: int, n_images: int, n_channels: int) -> Callable[[], Tensor]:
        towers = make_towers(preset, n_neurons, n_images, (n_channels, *shape[1:]))
        return _all_lost(towers, *_trials(n_neurons, n_images))

    return {
        "neurons": exponent(lambda n: work(n, images[1], channels[1]), neurons),
        "images": exponent(lambda n: work(neurons[1], n, channels[1]), images),
        "map size": exponent(lambda n: work(neurons[1], images[1], n), channels),
    }


def _all_lost(towers: AlignedTowers, responses: Tensor, target: Tensor) -> Callable[[], Tensor]:
    """Make everything anew each time: the readout of the towers, and what every neuron's silence costs every trial."""
    gallery = np.arange(len(towers.image_tower.maps), dtype=np.float32).reshape(-1, 1, 1, 1)
    return lambda: readout_of(towers, gallery).margins_lost(responses.double(), target, "silenced")


def _margin(towers: AlignedTowers) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the function from responses and their targets to margins; what images alone decide is made before."""
    tower, comparison = towers.neural_tower, towers.comparison
    images = towers.image_tower.maps
    if isinstance(comparison, LikelihoodComparison) and isinstance(tower, ProjectiveFields):
        evoked = tower.predict(images)
        half = 0.5 * (evoked * tower.whiten(evoked)).sum(1)
        flat, scale = images.flatten(1).T, comparison.log_scale.exp()
        return lambda rows, shown: margins(scale * (tower(rows).flatten(1) @ flat - half), shown)
    if isinstance(comparison, CosineComparison):
        directions, temperature = comparison.direction_of(images).T, comparison.temperature
        return lambda rows, shown: margins(comparison.direction_of(tower(rows)) @ directions / temperature, shown)
    raise TypeError("Towers must be compared by likelihood or by cosine; make the row compare others, too.")


def _captum(towers: AlignedTowers, responses: Tensor, target: Tensor) -> Callable[[], Tensor]:
    from captum.attr import FeatureAblation  # optional: timed only where it is installed

    # all neurons but some are one feature, so that only those are silenced one by one
    feature = torch.arange(responses.shape[1]).clamp_max(N_SILENCED)[None]
    with torch.inference_mode():
        margin = _margin(towers)

    def ablate() -> Tensor:
        with torch.inference_mode():
            ablation = FeatureAblation(lambda rows: margin(rows, target[:1].expand(len(rows))))
            lost: Tensor = ablation.attribute(responses[:1], feature_mask=feature, perturbations_per_eval=BATCH)
        return lost

    return ablate


def _error(towers: AlignedTowers, responses: Tensor, target: Tensor) -> float:
    """Return the largest error of the closed form on one neuron, relative to the largest loss, by silencing it in float64.

    The closed form reads weights in single precision, and these are the ones that are converted here.
    """
    neuron = responses.shape[1] // 2
    closed = _all_lost(towers, responses, target)()[:, neuron]
    towers.double()
    try:
        with torch.inference_mode():
            margin, rows = _margin(towers), responses.double()
            without = rows.clone()
            without[:, neuron] = 0
            expected = margin(rows, target) - margin(without, target)
    finally:
        towers.float()
    return relative_difference(closed, expected)
