"""Untrained towers of the same build: what an analysis finds where there is nothing to find."""

from collections.abc import Iterator
from copy import deepcopy

import torch

from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.neural.feedforward import LowRank
from dina.models.towers.neural.placed_fields import PlacedFields
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.models.towers.tower import initialise
from dina.randomness import seed_for
from dina.training.aligned_towers import AlignedTowers

NULL = "95 % interval of untrained towers of the same build, over draws of their weights and over images"
NOT_LEARNT = "No null: training changes only the gains of this image tower, so an untrained one is no control."


@torch.no_grad()
def untrained(towers: AlignedTowers, seed: int) -> AlignedTowers:
    """Return a copy of the towers with all weights drawn at random again, as before a fit.

    The copy keeps what only scales inputs: the place-wise means and deviations of Gabor channels, and the range of
    responses. The channels of a Gabor tower are given, not learnt; the copy of such a tower loses only its gains.
    """
    copy = deepcopy(towers).cpu()
    initialise(copy, torch.Generator().manual_seed(seed_for(seed, "untrained towers")))
    neural = copy.neural_tower
    if isinstance(neural, ProjectiveFields):
        neural.private.fill_(1.0)
        neural.loadings.zero_()
        neural.n_typical.zero_()
    if isinstance(neural, LowRank | PlacedFields):
        neural.gain.fill_(1.0)
    return copy.to(towers.device).eval()


def draw_untrained(towers: AlignedTowers, seed: int, n_draws: int) -> Iterator[AlignedTowers]:
    """Yield ``n_draws`` untrained copies of the towers, each with its own random weights; a null then holds their spread."""
    for draw in range(n_draws):
        yield untrained(towers, seed_for(seed, f"draw {draw} of untrained towers"))


def is_image_map_learnt(towers: AlignedTowers) -> bool:
    """Tell whether training changes more of the image tower than the gains of its channels."""
    return not isinstance(towers.image_tower, GaborEnergy) and any(True for _ in towers.image_tower.parameters())
