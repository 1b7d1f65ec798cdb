"""Towers of the same build that have learnt nothing: what an analysis finds where there is nothing to find."""

from copy import deepcopy

import torch

from dina.models.towers.neural.low_rank import LowRank
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.models.towers.tower import initialise
from dina.randomness import seed_for
from dina.training.aligned_towers import AlignedTowers


@torch.no_grad()
def untrained(towers: AlignedTowers, seed: int) -> AlignedTowers:
    """Return a copy of the towers with all weights drawn at random again, as before a fit.

    What only scales inputs stays: the place-wise means and deviations of Gabor channels, and the range of responses. A
    Gabor tower's channels are given, not learnt; of it only the gains are lost.

    Parameters
    ----------
    towers
        Left as they are.
    seed
        Of the weights.
    """
    copy = deepcopy(towers).cpu()
    initialise(copy, torch.Generator().manual_seed(seed_for(seed, "untrained towers")))
    neural = copy.neural_tower
    if isinstance(neural, ProjectiveFields):
        neural.private.fill_(1.0)
        neural.loadings.zero_()
        neural.n_typical.zero_()
    if isinstance(neural, LowRank):
        neural.gain.fill_(1.0)
    return copy.to(towers.device).eval()
