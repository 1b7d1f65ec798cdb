"""Image towers: how an image becomes feature maps."""

from dina.models.towers.image.frozen_encoder import FrozenEncoder
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.image.paper_dual_stream import DualStream
from dina.models.towers.image.scaled_pathways import ScaledPathways
from dina.models.towers.image.separable_pathways import SeparablePathways
from dina.models.towers.image.two_pathway import TwoPathway
from dina.models.towers.tower import ImageTower

# Every image tower by name; each can be built from ``image_shape`` alone.
IMAGE_TOWERS: dict[str, type[ImageTower]] = {
    "dual_stream": DualStream,
    "frozen_encoder": FrozenEncoder,
    "gabor_energy": GaborEnergy,
    "scaled_pathways": ScaledPathways,
    "separable_pathways": SeparablePathways,
    "two_pathway": TwoPathway,
}

__all__ = ["IMAGE_TOWERS", "DualStream", "FrozenEncoder", "GaborEnergy", "ScaledPathways", "SeparablePathways", "TwoPathway"]
