"""Time occlusion computed where a window reaches against encoding every occluded image anew, side by side in one run.

Run ``python benchmarks/occlusion.py --neurons 2000 --images 8``. Towers have the size and kind of the preset ``default`` with random
fields, noise and statistics: what is computed does not depend on what was learnt. The plain form sees a few windows of each size
only. Both take turns, so that a busy machine slows both; the ratio of processor times per image and window is the figure to quote.
captum is timed on the same windows where it is installed.
"""

import argparse
import importlib.util
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from dina.analyses.occlusion.occlusion_windows import (
    GaborOcclusion,
    OccludedImages,
    Sweep,
    occlude_image_by_image,
    place_windows,
)
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.training.aligned_towers import AlignedTowers
from dina.training.presets import RecordingShape, build_towers

HEIGHT, WIDTH = 68, 270
SIZES = {"small": 4.25, "medium": 8.5, "large": 17.0}


def make_towers(n_neurons: int, generator: torch.Generator) -> AlignedTowers:
    towers = build_towers("default", None, RecordingShape(1, HEIGHT, WIDTH, n_neurons), seed=0).eval()
    assert isinstance(towers.image_tower, GaborEnergy)
    assert isinstance(towers.neural_tower, ProjectiveFields)
    towers.image_tower.learn_statistics(make_images(64, generator))
    neural = towers.neural_tower
    neural.width.fill_(0.75)
    neural.loadings.normal_(0.0, 0.1, generator=generator)
    # fields lie in the middle half of the screen, as those of a recording do
    neural.centre[:, 1] = (neural.centre[:, 1] / 2 + neural.map_shape[2] / 4).round()
    return towers


def make_images(n: int, generator: torch.Generator) -> torch.Tensor:
    return 2 * torch.nn.functional.avg_pool2d(torch.randn(n, 1, HEIGHT, WIDTH, generator=generator), 5, 1, 2)


def seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    found = run()
    return time.process_time() - start, found


def time_captum(towers: AlignedTowers, images: torch.Tensor, neural: torch.Tensor, extent: int, stride: int) -> float:
    from captum.attr import Occlusion  # optional: timed only where it is installed

    def score(given: torch.Tensor) -> torch.Tensor:
        return towers.comparison(neural[:1], towers.image_tower(given), torch.ones(1))[0]

    with torch.no_grad():
        spent, _ = seconds(
            lambda: Occlusion(score).attribute(
                images[:1], (1, extent, extent), strides=(1, stride, stride), perturbations_per_eval=16
            )
        )
    n_windows = (-(-(HEIGHT - extent) // stride) + 1) * (-(-(WIDTH - extent) // stride) + 1)
    return spent / n_windows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neurons", type=int, default=2000)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    generator = torch.Generator().manual_seed(0)
    towers = make_towers(chosen.neurons, generator)
    images = make_images(chosen.images, generator)
    with torch.inference_mode():
        neural = towers.neural_tower(torch.randn(chosen.images, chosen.neurons, generator=generator))
    rows, columns = place_windows((HEIGHT, WIDTH), 8.5)
    few = slice(len(columns) // 2 - 8, len(columns) // 2 + 8)
    results: dict[str, dict[str, float]] = {}
    print(f"{'window':8}{'fast ms':>10}{'plain ms':>10}{'ratio':>8}   largest difference of scores (relative)")
    for name, deviation in SIZES.items():
        whole = Sweep(name, deviation, "mean", rows, columns, is_contrast_held=False)
        part = Sweep(name, deviation, "mean", rows[3:4], columns[few], is_contrast_held=False)
        times: dict[str, list[float]] = {"fast": [], "plain": []}
        for repeat in range(chosen.repeats + 1):
            fast, quick = seconds(lambda sweep=whole: GaborOcclusion(towers, images, neural).occlude(sweep))
            plain, slow = seconds(lambda sweep=part: plain_occlusion(towers, images, neural, sweep))
            if repeat:  # the first round warms up
                times["fast"].append(1e3 * fast / quick.score.size)
                times["plain"].append(1e3 * plain / slow.score.size)
        median = {kind: statistics.median(values) for kind, values in times.items()}
        difference = float(np.abs(quick.score[:1, 3:4, few] - slow.score).max() / np.abs(slow.score).max())
        results[name] = {**median, "ratio": median["plain"] / median["fast"], "difference": difference}
        print(f"{name:8}{median['fast']:10.2f}{median['plain']:10.2f}{results[name]['ratio']:8.1f}   {difference:.1e}")
    if importlib.util.find_spec("captum"):
        results["captum"] = {"plain": 1e3 * time_captum(towers, images, neural, 17, 17)}
        print(f"captum, 17 x 17 pixels: {results['captum']['plain']:.1f} ms per image and window")
    print(json.dumps({**vars(chosen), "torch": torch.__version__, "milliseconds_per_image_and_window": results}))


def plain_occlusion(towers: AlignedTowers, images: torch.Tensor, neural: torch.Tensor, sweep: Sweep) -> OccludedImages:
    return occlude_image_by_image(towers, images[:1], neural[:1], torch.ones(1), sweep)


if __name__ == "__main__":
    main()
