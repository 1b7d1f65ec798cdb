"""An image tower of several feature spaces: Gabor channels that have places, then features of the whole image."""

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dina.models.spaces import SPACES, FeatureSpace
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.image.kept_features import FeatureCache
from dina.models.towers.tower import FeatureMaps, ImageBatch, MapShape

KEPT_BYTES = 2**28  # of features of images
PATHWAYS = ("local", "global")


class FeatureStack(GaborEnergy):
    """The channels of `GaborEnergy`, and the features of further spaces in channels of their own behind them.

    Until `take` is called there are no further features, and the maps are those of `GaborEnergy`. The features of a space
    begin at a channel of their own and fill it place by place; these places have no meaning. Features of Gabors belong to the
    local or the global pathway by their wavelength, those of the whole image to the global one. Contrastive training may
    reweigh the spaces (``space_gain``). Features of images are kept in memory.

    Parameters
    ----------
    spaces
        Names in `dina.models.spaces.SPACES`; those that images of this shape cannot have are left out.
    image_shape, stride, n_orientations, n_contrasts, has_phases
        As in `GaborEnergy`.
    own
        Further spaces by name, classes that derive from `FeatureSpace`; they stand before those with sparse weights.
    """

    def __init__(
        self,
        spaces: Iterable[str],
        image_shape: MapShape,
        stride: int | None = None,
        n_orientations: int = 4,
        n_contrasts: int = 8,
        *,
        has_phases: bool = True,
        own: Mapping[str, type[FeatureSpace]] = MappingProxyType({}),
    ) -> None:
        super().__init__(image_shape, stride, n_orientations, n_contrasts, has_phases=has_phases)
        self.own = dict(own)
        # sparse weights come last, as `dina.training.start` joins them
        self.kinds = dict(sorted({**SPACES, **own}.items(), key=lambda named: named[0] not in own and not named[1].is_whole))
        # channels that have places
        self.n_placed = self.map_shape[0]
        local = (len(self.channels), *self.map_shape[1:])
        wanted = {*spaces, *own}
        possible = [name for name, kind in self.kinds.items() if name in wanted and not kind.explain_absence(image_shape)]
        self.spaces = nn.ModuleDict({name: self.kinds[name](image_shape, local) for name in possible})
        self.space_gain = nn.Parameter(torch.ones(len(possible)))
        self._kept = FeatureCache(KEPT_BYTES)
        self.register_load_state_dict_post_hook(_fit_map)  # type: ignore[no-untyped-call]

    def draw_parameters(self, generator: torch.Generator) -> None:
        """Set every gain to 1: this tower starts from known features, not from chance."""
        super().draw_parameters(generator)
        self.space_gain.data.fill_(1.0)

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *others: Any) -> None:
        """Have the spaces of the saved stack: what is installed here may differ from what was there."""
        saved = [name for name in self.kinds if any(key.startswith(f"{prefix}spaces.{name}.") for key in state_dict)]
        if saved != list(self.spaces):
            local = (len(self.channels), *self.map_shape[1:])
            self.spaces = nn.ModuleDict({name: self.kinds[name](self.image_shape, local) for name in saved}).to(self.gain.device)
            self.space_gain = nn.Parameter(self.space_gain.new_ones(len(saved)))
        super()._load_from_state_dict(state_dict, prefix, *others)

    def taken(self) -> dict[str, FeatureSpace]:
        """Return the spaces that take part, by name."""
        return {name: space for name, space in self.spaces.items() if isinstance(space, FeatureSpace) and space.n_features}

    def take(self, spaces: Iterable[FeatureSpace]) -> None:
        """Let these fitted spaces take part, and no others; the map grows by their features."""
        given = list(spaces)
        for name in self.spaces:
            chosen = [space for space in given if type(space) is self.kinds[name]]
            local = (len(self.channels), *self.map_shape[1:])
            self.spaces[name] = chosen[0] if chosen else self.kinds[name](self.image_shape, local).to(self.gain.device)
        _fit_map(self, None)

    def remember(self, images: ImageBatch, features: Float[Tensor, "batch feature"]) -> None:
        """Keep the features of images that were computed elsewhere, those of all spaces that take part side by side."""
        self._kept.look_up(images, lambda _: features)

    def blocks(self) -> list[tuple[str, str, int]]:
        """Return space, pathway and number of features of each block of features, in the order of the map.

        Each block begins at a channel of its own, so that channels belong to one space and one pathway.
        """
        sizes = [(name, (space.n_local, space.n_features - space.n_local)) for name, space in self.taken().items()]
        return [(name, pathway, n) for name, both in sizes for pathway, n in zip(PATHWAYS, both, strict=True) if n]

    def channels_beside(self) -> list[tuple[str, str]]:
        """Return the space and the pathway of every channel behind those that have places."""
        return [(name, pathway) for name, pathway, n in self.blocks() for _ in range(count_channels(n, self.map_shape))]

    @property
    def position(self) -> Int[Tensor, "feature"]:
        """Where each feature lies in the channels behind the local ones."""
        n_places, first, parts = self.map_shape[1] * self.map_shape[2], 0, [torch.zeros(0, dtype=torch.long)]
        for _, _, n_features in self.blocks():
            parts.append(first * n_places + torch.arange(n_features))
            first += count_channels(n_features, self.map_shape)
        return torch.cat(parts)

    def at_contrast_of(self, images: ImageBatch, others: ImageBatch, masked: tuple[str, ...] = ()) -> FeatureMaps:
        """Return feature maps; features of a pathway named in ``masked`` are 0, their mean over the training images.

        The contrast of ``others`` sets the gain of the local channels alone.
        """
        standard = self.standard_maps(images)
        local = self.weigh(standard, others, masked)
        blocks = self.blocks()
        if not blocks:
            return local
        features = self._kept.look_up(images, lambda some: self._features(some, standard if len(some) == len(images) else None))
        gains = dict(zip(self.spaces, self.space_gain, strict=True))
        weighed = [
            part * (gains[name] * (pathway not in masked))
            for (name, pathway, _), part in zip(blocks, torch.split(features, [n for _, _, n in blocks], 1), strict=True)
        ]
        beside = local.new_zeros(len(images), self.map_shape[0] - self.n_placed, *self.map_shape[1:]).flatten(1)
        beside = beside.index_copy(1, self.position.to(beside.device), torch.cat(weighed, dim=1))
        return torch.cat([local, beside.view(len(images), -1, *self.map_shape[1:])], dim=1)

    @torch.no_grad()
    def _features(
        self, images: ImageBatch, standard: Float[Tensor, "batch gabor_channel map_height map_width"] | None
    ) -> Float[Tensor, "batch feature"]:
        """Return the features of all spaces that take part, one space after another, before any gain."""
        maps = self.standard_maps(images) if standard is None else standard
        return torch.cat([space(images, maps) for space in self.taken().values()], dim=1)


def count_channels(n_features: int, map_shape: MapShape) -> int:
    """Return how many channels of a map so many features fill."""
    return math.ceil(n_features / (map_shape[1] * map_shape[2]))


def _fit_map(tower: FeatureStack, _: object) -> None:
    """Set the size of the map by the spaces that take part; called whenever weights are loaded."""
    tower.map_shape = (tower.n_placed + len(tower.channels_beside()), *tower.map_shape[1:])
    tower._kept.clear()
