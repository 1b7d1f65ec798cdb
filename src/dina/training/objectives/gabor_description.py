"""A fixed description of images by V1-like features, for objectives that need one that training cannot change."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.tower import MapShape
from dina.shapes import ContrastImages

IMAGES_AT_ONCE = 64


@torch.no_grad()
def describe_by_gabors(images: ContrastImages, map_shape: MapShape) -> Float[Tensor, "stimulus target"]:
    """Return Gabor energies and luminance of every image on the grid of the towers' maps, in half precision.

    Columns are ordered as (channel, row of places, column of places).
    """
    shape = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
    tower = GaborEnergy(shape, n_contrasts=0, has_phases=False)
    chunks = [
        F.interpolate(tower.raw_maps(chunk), size=map_shape[1:], mode="bilinear", antialias=True).flatten(1).half()
        for chunk in torch.split(torch.from_numpy(images), IMAGES_AT_ONCE)
    ]
    return torch.cat(chunks)
