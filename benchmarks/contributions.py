"""Time the closed-form loss of every neuron on every trial against silencing them one batch after the other.

Run ``python benchmarks/contributions.py --neurons 10000 --trials 280``. Both give what the margin of each trial loses when
a neuron's response is set to its mean. The plain loop runs the neural tower and the comparison on batches of responses with
one neuron silenced in each row, as feature ablation does; it is timed on ``--sample`` neurons and multiplied up, because all
of them would take hours. Errors are largest differences on that sample, relative to the largest loss; the loop runs in the
towers' single precision and the closed form in double, so that the loop in double precision is the reference. With Captum
installed, ``captum`` times its FeatureAblation on the same sample.
"""

import argparse
import importlib.util
import json
import time
from collections.abc import Callable

import torch

from dina.analyses.closed_readouts import margins
from dina.analyses.neuron_readout import readout_of
from dina.models.towers.neural.feedforward import LowRank
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.models.towers.tower import ImageTower, initialise
from dina.training.aligned_towers import AlignedTowers
from dina.training.comparison import CosineComparison, LikelihoodComparison

MAP_SHAPE = (105, 17, 68)
SCRATCH_SHAPE = (8, 9, 34)


class GivenMaps(ImageTower):
    """An image tower that looks maps up: what it costs to make them is not at issue here."""

    def __init__(self, maps: torch.Tensor) -> None:
        super().__init__((1, 1, 1), (int(maps.shape[1]), int(maps.shape[2]), int(maps.shape[3])), ())
        self.register_buffer("maps", maps)

    def forward(self, images: torch.Tensor, masked: tuple[str, ...] = ()) -> torch.Tensor:
        """Return the maps whose numbers the images hold."""
        maps: torch.Tensor = self.maps[images.flatten().long()]
        return maps


def make_towers(name: str, n_neurons: int, n_gallery: int) -> AlignedTowers:
    """Make towers of the size of a preset with random weights."""
    generator = torch.Generator().manual_seed(0)
    shape = MAP_SHAPE if name == "likelihood" else SCRATCH_SHAPE
    image_tower = GivenMaps(torch.randn(n_gallery, *shape, generator=generator))
    if name == "likelihood":
        tower = ProjectiveFields(n_neurons, shape, order=2, n_components=512)
        initialise(tower, generator)
        tower.loadings.normal_(0, 0.03, generator=generator)
        return AlignedTowers(image_tower, tower, LikelihoodComparison(tower)).eval()
    low_rank = LowRank(n_neurons, shape, rank=256)
    initialise(low_rank, generator)
    return AlignedTowers(image_tower, low_rank, CosineComparison(0.05, is_centred=True)).eval()


@torch.inference_mode()
def silence_in_batches(
    towers: AlignedTowers, responses: torch.Tensor, target: torch.Tensor, neurons: list[int], batch: int
) -> torch.Tensor:
    """Return margins lost, (trial, neuron), by running the tower on responses with one neuron at its mean."""
    image_maps = towers.image_tower.maps.to(responses.dtype)
    n_images = torch.ones(batch, dtype=responses.dtype)

    def margin_of(rows: torch.Tensor, shown: torch.Tensor) -> torch.Tensor:
        maps = towers.neural_tower(rows)
        if isinstance(towers.comparison, LikelihoodComparison):  # what does not depend on the response is made once
            score = towers.comparison.log_scale.exp() * (maps.flatten(1) @ image_maps.flatten(1).T - half)
        else:
            score = towers.comparison(maps, image_maps, n_images[: len(rows)])
        return margins(score, shown)

    half = torch.zeros(len(image_maps), dtype=responses.dtype)
    if isinstance(towers.neural_tower, ProjectiveFields):
        evoked = towers.neural_tower.predict(image_maps)
        half = 0.5 * (evoked * towers.neural_tower.whiten(evoked)).sum(1)
    pairs = [(trial, neuron) for neuron in neurons for trial in range(len(responses))]
    whole = torch.cat([margin_of(responses[i : i + batch], target[i : i + batch]) for i in range(0, len(responses), batch)])
    lost = torch.empty(len(pairs), dtype=responses.dtype)
    for first in range(0, len(pairs), batch):
        trial, neuron = torch.tensor(pairs[first : first + batch]).T
        rows = responses[trial].clone()
        rows[torch.arange(len(trial)), neuron] = 0
        lost[first : first + batch] = whole[trial] - margin_of(rows, target[trial])
    return lost.reshape(len(neurons), -1).T


def captum_seconds(
    towers: AlignedTowers, responses: torch.Tensor, target: torch.Tensor, neurons: int, batch: int
) -> float | None:
    """Return what Captum's FeatureAblation takes for as many (neuron, trial) pairs, or None where it is not installed."""
    if importlib.util.find_spec("captum") is None:
        return None
    from captum.attr import FeatureAblation

    def margin_of(rows: torch.Tensor) -> torch.Tensor:
        score = towers.comparison(towers.neural_tower(rows), towers.image_tower.maps, torch.ones(len(rows)))
        return margins(score, target[:1].expand(len(rows)))

    # all neurons but a few are one feature, so that only those few are ablated one by one
    mask = torch.arange(responses.shape[1]).clamp_max(neurons - 1)[None]
    start = time.perf_counter()
    with torch.inference_mode():
        FeatureAblation(margin_of).attribute(responses[:1], feature_mask=mask, perturbations_per_eval=batch)
    return time.perf_counter() - start


def timed(step: Callable[[], torch.Tensor]) -> tuple[float, torch.Tensor]:
    start = time.perf_counter()
    result = step()
    return time.perf_counter() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--towers", choices=("likelihood", "cosine"), default="likelihood")
    parser.add_argument("--neurons", type=int, default=10_000)
    parser.add_argument("--trials", type=int, default=280)
    parser.add_argument("--gallery", type=int, default=280)
    parser.add_argument("--sample", type=int, default=4, help="neurons silenced by the plain loop")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    towers = make_towers(chosen.towers, chosen.neurons, chosen.gallery)
    responses = torch.randn(chosen.trials, chosen.neurons, generator=torch.Generator().manual_seed(1))
    target = torch.arange(chosen.trials) % chosen.gallery
    neurons = torch.linspace(0, chosen.neurons - 1, chosen.sample).long().tolist()
    readout = readout_of(towers, torch.arange(chosen.gallery, dtype=torch.float32).reshape(-1, 1, 1, 1).numpy())
    prepared_s, _ = timed(lambda: readout.scores(responses.double()))  # what serves all trials is made here
    margin_s, _ = timed(lambda: readout.margins_lost(responses.double(), target, "silenced"))
    all_s, changes = timed(lambda: readout.changes(responses.double(), target, "silenced").margin_lost)
    loop_s, slow = timed(lambda: silence_in_batches(towers, responses, target, neurons, chosen.batch))
    row = vars(chosen) | {
        "prepared_s": prepared_s,
        "margins_s": margin_s,
        "margins_and_ranks_s": all_s,
        "loop_sample_s": loop_s,
        "loop_all_s": loop_s * chosen.neurons / chosen.sample,
        "captum_sample_s": captum_seconds(towers, responses, target, chosen.sample, chosen.batch),
    }
    row["times_faster"] = row["loop_all_s"] / (prepared_s + margin_s)  # like for like: the loop makes no ranks
    row["times_faster_with_ranks"] = row["loop_all_s"] / (prepared_s + all_s)
    fast = changes[:, neurons]
    row["difference_single"] = float((slow - fast).abs().max() / fast.abs().max())
    if chosen.towers == "cosine":
        exact = silence_in_batches(towers.double(), responses.double(), target, neurons[:2], chosen.batch)
        row["error_double"] = float((exact - fast[:, :2]).abs().max() / fast.abs().max())
    print(json.dumps(row, indent=2))


if __name__ == "__main__":
    main()
