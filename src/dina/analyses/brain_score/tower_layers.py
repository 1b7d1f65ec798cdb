"""What an image tower holds on the way from pixels to its map: the layers that neurons can be predicted from."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dina.analyses.comparable_maps import channel_names
from dina.models.towers.image.frozen_encoder import FrozenEncoder
from dina.models.towers.image.frozen_network import GaborFeatures
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.tower import ImageTower
from dina.shapes import ContrastImages
from dina.training.aligned_towers import AlignedTowers

MOST_LAYERS = 6
MOST_FEATURES = 20_000
IMAGES_AT_ONCE = 32

PIXELS, MAP, UNTRAINED = "pixels", "whole map", "whole map, untrained"


@torch.no_grad()
def read_layers(towers: AlignedTowers, images: ContrastImages) -> dict[str, Float[Tensor, "image channel height width"]]:
    """Return pixels, layers and map of images, each averaged over places until it has at most 20,000 numbers, in half precision.

    The layers of a Gabor tower are its kinds of channel; of a frozen network, the parts of its longest sequence, such as the
    layers of a transformer; of any other tower, its direct parts that give maps. At most six are taken, evenly spaced.

    Parameters
    ----------
    towers
        Whose image tower is read.
    images
        In units of contrast.
    """
    found: dict[str, list[Tensor]] = {}
    for first in range(0, len(images), IMAGES_AT_ONCE):
        chunk = torch.from_numpy(np.ascontiguousarray(images[first : first + IMAGES_AT_ONCE])).to(towers.device)
        for name, maps in _layers_of(towers, chunk):
            found.setdefault(name, []).append(_pool(maps).half().cpu())
    return {name: torch.cat(chunks) for name, chunks in found.items()}


def _layers_of(towers: AlignedTowers, images: Tensor) -> Iterator[tuple[str, Tensor]]:
    tower = towers.image_tower
    yield PIXELS, images
    if isinstance(tower, GaborEnergy):
        maps = tower(images)[:, : len(channel_names(tower))]
        for name, kinds in {
            "luminance": ("pooled",),
            "energies": ("energy",),
            "phases": ("even+", "even-", "odd+", "odd-"),
        }.items():
            rows = [number for number, channel in enumerate(tower.channels) if channel.kind in kinds]
            if rows:
                yield name, maps[:, rows]
    else:
        maps = tower(images)
        given = [(name, output) for name, output in _run_parts(tower, images) if not torch.equal(output, maps)]
        spaced = np.unique(np.linspace(0, max(0, len(given) - 1), min(len(given), MOST_LAYERS)).round().astype(int))
        yield from (given[number] for number in spaced if len(given))
    yield MAP, maps


def _run_parts(tower: ImageTower, images: Tensor) -> list[tuple[str, Tensor]]:
    """Run the tower and note what its parts give; of a frozen network, the parts of its longest sequence."""
    module: nn.Module = tower.encoder if isinstance(tower, FrozenEncoder) else tower
    parts = _longest_sequence(module) if isinstance(tower, FrozenEncoder) else list(tower.named_children())
    given: list[tuple[str, Tensor]] = []
    hooks = [part.register_forward_hook(_note(given, name)) for name, part in parts]
    try:
        module(images)
    finally:
        for hook in hooks:
            hook.remove()
    return given


def _longest_sequence(network: nn.Module) -> list[tuple[str, nn.Module]]:
    if isinstance(network, GaborFeatures):
        return []
    sequences = [list(part) for part in network.modules() if isinstance(part, nn.ModuleList | nn.Sequential)]
    longest = max(sequences, key=len, default=[])
    return [(f"layer {number + 1}", part) for number, part in enumerate(longest)]


def _note(given: list[tuple[str, Tensor]], name: str) -> Callable[[nn.Module, Any, Any], None]:
    def keep(part: nn.Module, taken: Any, output: Any) -> None:
        found = output if isinstance(output, Tensor) else output[0] if isinstance(output, tuple) else None
        if isinstance(found, Tensor) and found.ndim in (3, 4):
            # tokens of a transformer, (image, token, channel), count as places
            maps = found if found.ndim == 4 else found.transpose(1, 2)[..., None]
            given.append((name.strip("_").replace("_", " "), maps))

    return keep


def _pool(maps: Tensor) -> Tensor:
    n_channels, height, width = maps.shape[1:]
    while n_channels * height * width > MOST_FEATURES and height * width > 1:
        height, width = -(-height // 2), -(-width // 2)
    return F.adaptive_avg_pool2d(maps.float(), (height, width))
