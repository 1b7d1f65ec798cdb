"""Untrained towers of the same build, drawn several times, so that a null also holds what differs between random weights."""

from collections.abc import Iterator

from dina.analyses.untrained import untrained
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.randomness import seed_for
from dina.training.aligned_towers import AlignedTowers

NULL = "95 % interval of untrained towers of the same build, over draws of their weights and over images"
NOT_LEARNT = "No null: training changes nothing but gains of this image tower, so that an untrained one is no control."


def draw_untrained(towers: AlignedTowers, seed: int, n_draws: int) -> Iterator[AlignedTowers]:
    """Yield copies of the towers, each with weights of its own, see `untrained`.

    Parameters
    ----------
    towers
        Left as they are.
    seed
        Of all draws.
    n_draws
        How many.
    """
    for draw in range(n_draws):
        yield untrained(towers, seed_for(seed, f"draw {draw} of untrained towers"))


def is_image_map_learnt(towers: AlignedTowers) -> bool:
    """Tell whether training changes more of the image tower than the gains of its channels."""
    return not isinstance(towers.image_tower, GaborEnergy) and any(True for _ in towers.image_tower.parameters())
