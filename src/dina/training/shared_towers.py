"""One image tower that several recordings share, each with a neural tower of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.models.towers.tower import ImageTower
from dina.training.aligned_towers import AlignedTowers


@dataclass(frozen=True, eq=False)
class RecordingPairs:
    """What joint training sees of one recording.

    Parameters
    ----------
    name
        Of the recording, unique.
    train, validation
        Pairs of two parts of a split that all recordings share.
    """

    name: str
    train: Pairs
    validation: Pairs


class SharedTowers(nn.Module):
    """Several pairs of towers that hold one and the same image tower.

    Parameters
    ----------
    names
        Of the recordings, unique.
    towers
        Of each recording, all with one image tower (the same object).

    Raises
    ------
    DataError
        If names repeat, or an image tower is another one.
    """

    def __init__(self, names: Sequence[str], towers: Sequence[AlignedTowers]) -> None:
        super().__init__()
        if not names or len(set(names)) < len(names) or len(names) != len(towers):
            raise DataError(
                f"Towers are shared by recordings with different names; got {', '.join(names) or 'none'}. Rename one of them."
            )
        if any(each.image_tower is not towers[0].image_tower for each in towers):
            raise DataError("Shared towers must hold one image tower; build them with the first one's image_tower.")
        self.names = tuple(names)
        self.towers = nn.ModuleList(towers)

    @property
    def image_tower(self) -> ImageTower:
        """The tower that all share."""
        first = self.towers[0]
        assert isinstance(first, AlignedTowers)  # as all are; tells the type checker
        return first.image_tower

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def of(self, name: str) -> AlignedTowers:
        """Return the towers of one recording."""
        found = self.towers[self.names.index(name)]
        assert isinstance(found, AlignedTowers)  # as all are; tells the type checker
        return found
