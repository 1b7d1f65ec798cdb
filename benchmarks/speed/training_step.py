"""Training of the preset `scratch`, against a plain loop over the same towers.

The plain loop is what one would write first: a DataLoader that fetches image by image, images as they lie in memory, AdamW parameter
by parameter, single precision. Both train for one epoch; starting and validating, which only ours does, is subtracted.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from benchmarks.speed.contest import Line, Side, compete, exponent, product_gflop_s
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from dina.data.pairs import Pairs
from dina.data.standardise import Standardiser
from dina.models.towers.tower import seed_dropout
from dina.training.aligned_towers import AlignedTowers
from dina.training.batches import RecordingPairs
from dina.training.fit import FitSettings, fit_towers
from dina.training.objectives.contrastive import symmetric_info_nce
from dina.training.presets import RecordingShape, build_towers
from dina.training.presets.scratch import ScratchSettings

GOAL = 4.0


def measure(*, quick: bool) -> Iterator[Line]:
    """Compare an epoch in single precision and in bfloat16; images per epoch, neurons and batch grow."""
    n_images, n_neurons, batch, size = (16, 20, 8, (16, 24)) if quick else (512, 2000, 128, (66, 130))
    recording = _recording(n_images, n_neurons, size)
    for precision in ("float32", "bfloat16"):
        settings = _settings(batch, precision)
        ours, plain = (_towers(recording) for _ in range(2))
        times = compete(
            Side(_train(ours, recording, settings, 1), n_images / batch, less=_train(ours, recording, settings, 0)),
            Side(_plain_epoch(plain, recording, settings), n_images / batch),
            quick=quick,
        )
        with FlopCounterMode(display=False) as counter:
            _plain_epoch(plain, recording, settings, n_batches=1)()
        line = Line(
            work=f"training step of `scratch`, {precision}: {n_neurons:,} neurons, batch {batch}, images {size[0]} × {size[1]}",
            peer="plain loop in float32",
            goal=f"≥ {GOAL:g} ×",
            times=times,
            is_reached=times.ratio[0] >= GOAL,
            gflop=1e-9 * counter.get_total_flops(),
            agreement="same towers, start and loss; order and masks of neurons differ",
        )
        if not line.is_reached:
            line.note = _what_limits(line, precision, quick=quick)
        if precision == "float32":
            line.growth = _growth(size, quick=quick)
        yield line


def _what_limits(line: Line, precision: str, *, quick: bool) -> str:
    """Say how the step would stand beside the loop if all its multiplications were as fast as a product of matrices."""
    assert line.times is not None
    assert line.gflop is not None
    rate = product_gflop_s(getattr(torch, precision), quick=quick)
    most = line.times.other_s * rate / line.gflop
    return f"at the rate of a product in {precision}, {rate:.0f} GFLOP/s, a step would be {most:.1f} ×"


def _growth(size: tuple[int, int], *, quick: bool) -> dict[str, float]:
    images, neurons = ((8, 16), (8, 16)) if quick else ((64, 128, 256, 512), (1000, 2000, 4000, 8000))
    batches = (4, 8) if quick else (32, 64, 128, 256)

    def epoch(n_images: int, n_neurons: int, batch: int) -> Callable[[], None]:
        recording = _recording(n_images, n_neurons, size)
        return _train(_towers(recording), recording, _settings(batch, "float32"), 1)

    return {
        "images": exponent(lambda n: epoch(n, neurons[0], batches[1]), images),
        "neurons": exponent(lambda n: epoch(images[0], n, batches[1]), neurons),
        "batch": exponent(lambda n: epoch(n, neurons[0], n), batches),
    }


def _settings(batch: int, precision: str) -> FitSettings:
    fit = ScratchSettings().fit
    return FitSettings.model_validate(fit.model_dump() | {"batch_size": batch, "precision": precision})


def _recording(n_images: int, n_neurons: int, size: tuple[int, int]) -> RecordingPairs:
    """Make images and responses of noise, two trials of each image: what is computed does not depend on what they hold."""
    draw = np.random.default_rng(0)
    standardiser = Standardiser(np.zeros(n_neurons, np.float32), np.ones(n_neurons, np.float32))

    def pairs(n: int) -> Pairs:
        images = draw.standard_normal((n, 1, *size), dtype=np.float32)
        responses = draw.standard_normal((2 * n, n_neurons), dtype=np.float32)
        return Pairs(images, np.arange(n), responses, np.repeat(np.arange(n), 2), np.ones(2 * n, dtype=np.int64), standardiser)

    return RecordingPairs(pairs(n_images), pairs(8))


def _towers(recording: RecordingPairs) -> AlignedTowers:
    height, width = recording.train.images.shape[2:]
    return build_towers("scratch", None, RecordingShape(1, height, width, recording.train.n_neurons), seed=0)


def _train(towers: AlignedTowers, recording: RecordingPairs, settings: FitSettings, n_epochs: int) -> Callable[[], None]:
    budget = settings.model_copy(update={"n_epochs": n_epochs})

    def train() -> None:
        fit_towers([towers], [recording], budget, seed=0)

    return train


class _Trials(Dataset):
    """Image after image with the average of its trials."""

    def __init__(self, pairs: Pairs) -> None:
        self.images, self.responses = torch.from_numpy(pairs.images), torch.from_numpy(pairs.averaged())

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.images[number], self.responses[number]


def _plain_epoch(
    towers: AlignedTowers, recording: RecordingPairs, settings: FitSettings, n_batches: int | None = None
) -> Callable[[], None]:
    generator = torch.Generator().manual_seed(0)
    loader = DataLoader(_Trials(recording.train), settings.batch_size, shuffle=True, generator=generator)
    seed_dropout(towers, torch.Generator().manual_seed(0))
    sides = ((towers.neural_tower, settings.neural), (towers.image_tower, settings.image), (towers.comparison, settings.image))
    groups = [
        {"params": list(part.parameters()), "lr": chosen.learning_rate, "weight_decay": chosen.weight_decay}
        for part, chosen in sides
    ]
    optimiser = torch.optim.AdamW(groups, foreach=False, fused=False)

    def epoch() -> None:
        towers.train()
        for number, (images, responses) in enumerate(loader):
            if number == n_batches:
                return
            optimiser.zero_grad()
            scores = towers.comparison(towers.neural_tower(responses), towers.image_tower(images), torch.ones(len(images)))
            symmetric_info_nce(scores, torch.arange(len(images))).backward()
            optimiser.step()

    return epoch
