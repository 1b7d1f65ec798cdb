"""What a preset is: how towers are built from settings and the shape of a recording, and what they learn before training."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from dina.data.pairs import Pairs
from dina.training.aligned_towers import AlignedTowers
from dina.training.preset_settings import PresetSettings


@dataclass(frozen=True)
class RecordingShape:
    """What towers must know of a recording to be built.

    Parameters
    ----------
    n_channels, height, width
        Of the images, in pixels.
    n_neurons
        Number of neurons.
    """

    n_channels: int
    height: int
    width: int
    n_neurons: int

    @classmethod
    def of(cls, pairs: Pairs) -> "RecordingShape":
        """Return the shape of some pairs."""
        n_channels, height, width = (int(extent) for extent in pairs.images.shape[1:])
        return cls(n_channels, height, width, pairs.n_neurons)


@dataclass(frozen=True)
class Preset:
    """How one preset is built and begun.

    Parameters
    ----------
    settings_type
        Its settings; without arguments, what it prescribes.
    build
        Makes towers with random weights from settings, shape and generator. Needs no data, so that saved weights
        can be put into towers built anew.
    start
        Learns from training pairs what training by gradients does not (scales, a closed-form start); validation pairs
        may choose between settings. Called once before `fit_towers`, with the seed; returns what was chosen, by name.
    has_closed_form_start
        Whether the towers can decode before any training by gradients.
    """

    settings_type: type[PresetSettings]
    build: Callable[[Any, RecordingShape, torch.Generator], AlignedTowers]
    start: Callable[[AlignedTowers, Any, Pairs, Pairs, int], dict[str, str | float]]
    has_closed_form_start: bool = False
