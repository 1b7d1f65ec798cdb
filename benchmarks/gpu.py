"""What a GPU does for dina, in one call: time, share of what the device can do, and agreement with the CPU.

    python -m benchmarks.gpu                          # on the first CUDA device: at most eight minutes
    python -m benchmarks.gpu --device cpu --quick     # tiny, in seconds: that every row works

Every row is the code that a study uses, with another device. Agreement is that of tiny sizes, in single precision, relative to the
largest number. The limit of a row is the longer of two times: that of its multiplications and additions at the rate of a product of
matrices, and that of reading and writing its arrays once at the rate of a copy, both measured on the device before.
"""

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from benchmarks.speed.contest import Line
from benchmarks.speed.neuron_contributions import make_towers
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from dina.analyses.neuron_readout import readout_of
from dina.analyses.occlusion.occlusion_windows import GaborOcclusion, Sweep, place_windows
from dina.data.pairs import Gallery, Queries
from dina.models.encoding import EncodingModel, Windows
from dina.models.global_ridge import eigenvectors_of, fit_global_ridge
from dina.models.noise import decompose_residuals
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.neural.paper_neuron_attention import NeuronAttention, attend
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.models.towers.tower import initialise
from dina.recordings.simulator import simulate
from dina.study import run_study
from dina.study.settings import StudySettings
from dina.training.aligned_towers import AlignedTowers
from dina.training.objectives.contrastive import symmetric_info_nce
from dina.training.presets import RecordingShape, build_towers

LARGEST_ERROR = 1e-4
MINUTES = 8.0
FLOPS_OF_EIGENVECTORS = 9.0  # times n³: reduction to three diagonals, their eigenvectors, and the way back
FLOPS_OF_ATTENTION = 20.0  # for each trial and pair of neurons: the scores and their exponentials forward, both again backward
NOT_ON_A_CPU = "not run: needs a GPU"


@dataclass(frozen=True)
class Work:
    """A piece of work that is ready to be done, any number of times; it returns numbers to compare."""

    run: Callable[[], Tensor]
    further_flops: float = 0.0  # beside products and convolutions, which are counted while it runs
    gigabytes: float = 0.0  # of the arrays that it must read and write at least


@dataclass(frozen=True)
class Row:
    """One row: how its work is made on a device, in full or tiny, and in how many seconds an H200 is to do it."""

    make: Callable[[torch.device, bool], Work]
    most_seconds: float | None = None
    is_exact: bool = True  # whether rounding alone may tell devices apart; choices of a whole study may go the other way
    n_runs: int = 3


def eigenvectors(device: torch.device, is_quick: bool) -> Work:
    """Find the eigenvectors of the products of 2,800 images."""
    n = 64 if is_quick else 2800
    rows = _draw(n, 2 * n).to(device)
    gram = rows @ rows.T / n
    return Work(lambda: eigenvectors_of(gram)[0], FLOPS_OF_EIGENVECTORS * n**3, 2 * gram.nbytes / 1e9)


def ridge(device: torch.device, is_quick: bool) -> Work:
    """Fit ridge weights of 10,000 neurons on 10,000 features of 2,240 images."""
    n, n_features, n_neurons = (60, 90, 20) if is_quick else (2240, 10_000, 10_000)
    maps, responses = _draw(n, n_features, 1, 1).to(device), _responses(n, n_features, n_neurons).to(device)
    flops = FLOPS_OF_EIGENVECTORS * n**3
    return Work(lambda: fit_global_ridge(maps, responses).predicted, flops, (maps.nbytes + 2 * responses.nbytes) / 1e9)


def receptive_fields(device: torch.device, is_quick: bool) -> Work:
    """Find the receptive fields of 10,000 neurons on maps of 2,240 images."""
    n, n_neurons, grid = (80, 30, (5, 7)) if is_quick else (2240, 10_000, (17, 34))
    maps = _draw(n, 8 if is_quick else 32, *grid).to(device)
    responses = (maps[:, 0].flatten(1).cpu() @ _draw(math.prod(grid), n_neurons) / 5 + _draw(n, n_neurons)).to(device)

    def fit() -> Tensor:
        return EncodingModel.fit(maps, responses, Windows.find(maps, responses, (0.75, 1.1), 2)).weights.predicted

    return Work(fit, 0.0, (maps.nbytes + 2 * responses.nbytes) / 1e9)


def noise(device: torch.device, is_quick: bool) -> Work:
    """Find the shared noise of 10,000 neurons, and how probable responses are under it."""
    n, n_neurons = (60, 90) if is_quick else (2240, 10_000)
    residuals = _draw(n, n_neurons).to(device)

    def judge() -> Tensor:
        return decompose_residuals(residuals).noise(32, 0.3).log_likelihood(residuals[:40], residuals[40:80])

    return Work(judge, FLOPS_OF_EIGENVECTORS * n**3, 2 * residuals.nbytes / 1e9)


def training_step(device: torch.device, is_quick: bool) -> Work:
    """Take the gradient of one batch of 256 images with the towers of `scratch`."""
    n, n_neurons, size = (8, 20, (16, 24)) if is_quick else (256, 10_000, (66, 130))
    towers = build_towers("scratch", None, RecordingShape(1, *size, n_neurons), seed=0).to(device)
    images, responses = _draw(n, 1, *size).to(device), _draw(n, n_neurons).to(device)
    presentations, target = torch.ones(n, device=device), torch.arange(n, device=device)

    def step() -> Tensor:
        towers.zero_grad(set_to_none=True)
        scores = towers.comparison(towers.neural_tower(responses), towers.image_tower(images), presentations)
        symmetric_info_nce(scores, target).backward()
        return torch.cat([weight.grad.flatten() for weight in towers.parameters() if weight.grad is not None])

    n_bytes = sum(3 * weight.nbytes for weight in towers.parameters()) + images.nbytes + responses.nbytes
    return Work(step, 0.0, n_bytes / 1e9)


def scoring(device: torch.device, is_quick: bool) -> Work:
    """Score 2,800 candidate images for 280 responses with the towers of `default`."""
    n, n_gallery, n_neurons, size = (6, 12, 20, (17, 34)) if is_quick else (280, 2800, 10_000, (66, 130))
    towers = _gabor_towers(n_neurons, size).to(device)
    queries = Queries(_draw(n, n_neurons).numpy(), np.ones(n))
    gallery = Gallery(_draw(n_gallery, 1, *size).numpy(), np.arange(n_gallery))
    return Work(lambda: torch.from_numpy(towers.score(queries, gallery)), 0.0, gallery.images.nbytes / 1e9)


def contributions(device: torch.device, is_quick: bool) -> Work:
    """Find what 280 responses lose without each of 10,000 neurons, towers as those of `default`."""
    n, n_neurons, shape = (6, 110, (6, 3, 4)) if is_quick else (280, 10_000, (105, 17, 34))
    towers = make_towers("default", n_neurons, n, shape).to(device)
    gallery = np.arange(n, dtype=np.float32).reshape(-1, 1, 1, 1)
    responses, target = _draw(n, n_neurons).double(), torch.arange(n)
    return Work(lambda: readout_of(towers, gallery).margins_lost(responses, target, "silenced").float())


def occlusion(device: torch.device, is_quick: bool) -> Work:
    """Occlude 32 images by 128 windows each, towers as those of `default`."""
    n, n_neurons, size = (2, 20, (17, 34)) if is_quick else (32, 10_000, (66, 130))
    towers = _gabor_towers(n_neurons, size).to(device)
    images = _draw(n, 1, *size).to(device)
    sweep = Sweep("one", 4.25, "mean", *place_windows(size, 8.5), is_contrast_held=False)
    with torch.inference_mode():
        neural = towers.neural_tower(_draw(n, n_neurons).to(device))
    return Work(lambda: torch.from_numpy(GaborOcclusion(towers, images, neural).occlude(sweep).score))


def attention(device: torch.device, is_quick: bool) -> Work:
    """Let 10,000 neurons attend to each other in 128 trials, forward and backward."""
    n, n_neurons = (4, 48) if is_quick else (128, 10_000)
    tower = NeuronAttention(n_neurons)
    initialise(tower, torch.Generator().manual_seed(0))
    tower.to(device)
    responses = torch.rand(n, n_neurons, generator=torch.Generator().manual_seed(1)).to(device)

    def step() -> Tensor:
        tower.zero_grad(set_to_none=True)
        attend(responses, tower.factors()).square().sum().backward()
        return torch.cat([weight.grad.flatten() for weight in tower.parameters() if weight.grad is not None])

    return Work(step, FLOPS_OF_ATTENTION * n * n_neurons**2, 12 * 4e-9 * n_neurons**2)


def study(device: torch.device, is_quick: bool) -> Work:
    """Study a whole simulated session with `default` alone: 10,000 neurons and 2,800 images shown twice."""
    tiny = {"n_neurons": 60, "n_stimuli": 90, "height": 20, "width": 24, "n_spontaneous": 20}
    recording = simulate("demo", settings=tiny) if is_quick else simulate("full")
    changes = {"dina": {"spaces": [], "n_noise_components": 8}, "evaluation": {"n_resamples": 100}} if is_quick else {}
    settings = StudySettings.model_validate({"decoders": ["dina"], "preset": "default", **changes})

    def run() -> Tensor:
        rows = run_study(recording, settings, device=str(device)).summary["decoding"]
        return torch.tensor([row["top1"] for row in rows if row.get("top1") is not None])

    return Work(run, 0.0, recording.responses.nbytes / 1e9)


ROWS = {
    "eigenvectors": Row(eigenvectors),
    "ridge": Row(ridge),
    "receptive fields": Row(receptive_fields),
    "noise": Row(noise),
    "training step": Row(training_step),
    "scoring": Row(scoring),
    "contributions": Row(contributions),
    "occlusion": Row(occlusion),
    "attention": Row(attention, most_seconds=0.060),
    "study": Row(study, most_seconds=60.0, is_exact=False, n_runs=1),
}


def _draw(*shape: int, seed: int = 0) -> Tensor:
    """Draw on the CPU, so that every device gets the same numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def _responses(n: int, n_features: int, n_neurons: int) -> Tensor:
    """Draw responses that the first features explain to one half."""
    explained = _draw(n, n_features)[:, :10] @ _draw(10, n_neurons) / 10**0.5
    return explained + _draw(n, n_neurons, seed=1)


def _gabor_towers(n_neurons: int, size: tuple[int, int]) -> AlignedTowers:
    towers = build_towers("default", None, RecordingShape(1, *size, n_neurons), seed=0).eval()
    image_tower, fields = towers.image_tower, towers.neural_tower
    if not (isinstance(image_tower, GaborEnergy) and isinstance(fields, ProjectiveFields)):
        raise TypeError("The preset `default` must have a Gabor tower and projective fields; the row needs others now.")
    image_tower.learn_statistics(_draw(64, 1, *size))
    fields.width.fill_(0.75)
    fields.loadings.normal_(0.0, 0.1, generator=torch.Generator().manual_seed(0))
    return towers


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Return how long a work takes, with all that the device has still to do for it."""
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def limits_of(device: torch.device, *, is_quick: bool) -> tuple[float, float]:
    """Return FLOP/s of a product of matrices in single precision, and bytes/s of a copy."""
    extent = 64 if is_quick else 8192
    left = torch.ones(extent, extent, device=device)
    block = torch.zeros(2**12 if is_quick else 2**28, device=device)
    place = torch.empty_like(block)
    product = min(seconds_of(lambda: left @ left, device) for _ in range(5))
    copying = min(seconds_of(lambda: place.copy_(block), device) for _ in range(5))
    return 2 * extent**3 / product, 2 * block.nbytes / copying


def difference_of(row: Row, device: torch.device) -> float:
    """Return the largest difference of the device from the CPU in the tiny work of a row, relative to the largest number."""
    found, expected = (row.make(place, True).run().detach().cpu().double() for place in (device, torch.device("cpu")))
    return float((found - expected).abs().max() / expected.abs().max().clamp_min(1e-30))


def measure(device: torch.device, *, is_quick: bool, minutes: float = MINUTES) -> Iterator[tuple[str, bool]]:
    """Yield the lines of the table, and whether each row is as it should be."""
    began = time.perf_counter()
    rate, bandwidth = limits_of(device, is_quick=is_quick)
    yield (
        f"{_name(device)}: {rate / 1e12:.3g} TFLOP/s of a product, {bandwidth / 1e9:.3g} GB/s of a copy, single precision.",
        True,
    )
    yield "", True
    yield "| work | time | share of the limit | difference from the CPU | goal on an H200 | reached |", True
    yield "|---|---|---|---|---|---|", True
    for name, row in ROWS.items():
        goal = "–" if row.most_seconds is None else f"≤ {row.most_seconds:g} s"
        if time.perf_counter() - began > 60 * minutes:
            yield f"| {name} | not run: {minutes:g} minutes were over | – | – | {goal} | – |", False
            continue
        difference = None if device.type == "cpu" else difference_of(row, device)
        work = row.make(device, is_quick)
        with FlopCounterMode(display=False) as counter:
            first = seconds_of(work.run, device)
        spent = first if is_quick else statistics.median(seconds_of(work.run, device) for _ in range(row.n_runs))
        flops = counter.get_total_flops() + work.further_flops
        share = max(flops / rate, 1e9 * work.gigabytes / bandwidth) / spent
        is_gpu = device.type == "cuda" and not is_quick
        is_fast = row.most_seconds is None or spent <= row.most_seconds
        is_same = difference is None or not row.is_exact or difference <= LARGEST_ERROR
        cells = [name, f"{spent:.3g} s", f"{share:.0%}" if is_gpu else NOT_ON_A_CPU]
        cells += [NOT_ON_A_CPU if difference is None else f"{difference:.0e}", goal]
        cells += ["–" if row.most_seconds is None else ("yes" if is_fast else "**no**") if is_gpu else NOT_ON_A_CPU]
        yield f"| {' | '.join(cells)} |", is_same and (is_fast or not is_gpu)


def lines(*, quick: bool) -> Iterator[Line]:
    """Yield the rows as those of `python -m benchmarks`, where there is a GPU."""
    if not torch.cuda.is_available():
        raise RuntimeError(NOT_ON_A_CPU.removeprefix("not run: "))
    device = torch.device("cuda")
    for name, row in ROWS.items():
        spent = seconds_of(row.make(device, quick).run, device)
        goal = "–" if row.most_seconds is None else f"≤ {row.most_seconds:g} s"
        is_reached = row.most_seconds is None or spent <= row.most_seconds
        yield Line(f"{name}, on {_name(device)}", "–", goal, ours_s=spent, is_reached=is_reached)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 where a row disagrees with the CPU, misses its goal, or was not reached in time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        print("not run: there is no CUDA device here. `--device cpu --quick` shows that every row works.")
        return 1
    is_good = True
    for line, is_right in measure(torch.device(options.device), is_quick=options.quick):
        print(line, flush=True)
        is_good &= is_right
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
