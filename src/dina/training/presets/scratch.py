"""Preset `scratch`: two image pathways and a linear neural tower, trained from random weights."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float32
from pydantic import Field

from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.models.towers.image.two_pathway import TwoPathway
from dina.models.towers.neural.feedforward import LowRank
from dina.models.towers.tower import ImageTower, MapShape, NeuralTower
from dina.training.aligned_towers import AlignedTowers
from dina.training.batches import RecordingPairs
from dina.training.comparison import CosineComparison
from dina.training.fit import FitSettings
from dina.training.objectives import Objective
from dina.training.presets.preset import Preset, PresetSettings, RecordingShape, Temperature
from dina.training.start import Chosen, NeuronPrior
from dina.training.state import OptimiserSettings

Towers = AlignedTowers[ImageTower, NeuralTower]
HIGHEST_RELIABILITY = 0.95


class ScratchSettings(PresetSettings):
    """Two trained pathways and a linear neural tower of low rank.

    Parameters
    ----------
    map_channels
        Channels of the feature maps.
    pathway_width
        Channels inside each pathway.
    rank
        Components of the neural tower.
    dropout
        Probability of silencing a neuron while training.
    is_reliability_weighted
        Whether responses are weighted by their reliability over training repeats.
    temperature
        At the start; it is learnt.
    fit
        Training.
    """

    map_channels: int = Field(8, ge=1)
    pathway_width: int = Field(32, ge=4, multiple_of=4)
    rank: int = Field(256, ge=1)
    dropout: float = Field(0.5, ge=0, lt=1)
    is_reliability_weighted: bool = True
    temperature: Temperature = 0.05
    fit: FitSettings = FitSettings(
        n_epochs=40,
        batch_size=128,
        image=OptimiserSettings(learning_rate=2e-3, weight_decay=0.01),
        neural=OptimiserSettings(learning_rate=1e-3, weight_decay=0.1),
        patience=12,
    )


class Scratch(Preset[ScratchSettings, ImageTower, NeuralTower]):
    """A convolutional image tower meets a low-rank neural tower in a correlation with a learnt temperature.

    Parameters
    ----------
    objective
        As in `Preset`.
    image_tower
        Makes an image tower of your own from the shape of the images (channels, height, width); None for `TwoPathway`.
    neural_tower
        Makes a neural tower of your own from the number of neurons and the shape of the image tower's maps; None for `LowRank`.
    """

    settings_type = ScratchSettings
    is_shared: ClassVar[bool] = True

    def __init__(
        self,
        objective: Callable[[], Objective] | None = None,
        image_tower: Callable[[MapShape], ImageTower] | None = None,
        neural_tower: Callable[[int, MapShape], NeuralTower] | None = None,
    ) -> None:
        super().__init__(objective)
        self.image_tower = self._check_maker("image_tower", image_tower)
        self.neural_tower = self._check_maker("neural_tower", neural_tower)

    def build(self, settings: ScratchSettings, shape: RecordingShape) -> Towers:
        """Build both towers."""
        if self.image_tower is None:
            image_tower: ImageTower = TwoPathway(shape.image, settings.map_channels, settings.pathway_width)
        else:
            image_tower = self.image_tower(shape.image)
            _check_maps(image_tower, shape.image)
        if self.neural_tower is None:
            neural_tower: NeuralTower = LowRank(shape.n_neurons, image_tower.map_shape, settings.rank, settings.dropout)
        else:
            neural_tower = self.neural_tower(shape.n_neurons, image_tower.map_shape)
            _check_maps(neural_tower, (shape.n_neurons,))
        comparison = CosineComparison(settings.temperature, is_learnt=True, is_centred=True)
        return AlignedTowers(image_tower, neural_tower, comparison)

    def join(self, towers: Towers, settings: ScratchSettings, prior: NeuronPrior | None, recording: RecordingPairs) -> Chosen:
        """Weight responses by their reliability, if the neural tower is that of the preset."""
        if settings.is_reliability_weighted and isinstance(towers.neural_tower, LowRank):
            towers.neural_tower.set_gain(torch.from_numpy(reliability_weights(recording.train)))
        return {}


@torch.no_grad()
def _check_maps(tower: Any, shape: tuple[int, ...]) -> None:
    """Refuse a tower of a user's own that is none, or whose maps have another shape than it states."""
    if not isinstance(tower, ImageTower | NeuralTower):
        raise DataError(
            f"A tower of your own must derive from dina.ImageTower or dina.NeuralTower; got {type(tower).__name__}. Derive it."
        )
    found = tuple(tower.eval()(torch.zeros(2, *shape)).shape)
    tower.train()
    if found != (2, *tower.map_shape):
        raise DataError(
            f"{type(tower).__name__} must turn 2 inputs into maps of shape {(2, *tower.map_shape)}, as its map_shape states; it gives"
            f" {found}. Change forward or map_shape."
        )


def reliability_weights(train: Pairs) -> Float32[np.ndarray, "neuron"]:
    r"""Return √(ρ / (1 − ρ)) of each neuron, scaled to a mean square of 1.

    ρ is the correlation over images between the first and the second trial: the fraction of a neuron's variance that
    the image explains. The weight is the signal-to-noise ratio of a standardised response; 0 for neurons whose trials do not
    correlate. All weights are 1 unless at least three images have two trials.
    """
    number = train.repeat_number()
    counts = np.bincount(train.stimulus_index, minlength=train.n_stimuli)
    repeated = np.flatnonzero(counts >= 2)
    if len(repeated) < 3:
        return np.ones(train.n_neurons, dtype=np.float32)
    halves = []
    for repeat in (0, 1):
        row = np.zeros(train.n_stimuli, dtype=np.int64)
        trials = np.flatnonzero(number == repeat)
        row[train.stimulus_index[trials]] = trials
        half = train.responses[row[repeated]].astype(np.float64)
        halves.append(half - half.mean(0))
    spread = np.sqrt((halves[0] ** 2).sum(0) * (halves[1] ** 2).sum(0))
    reliability = np.divide((halves[0] * halves[1]).sum(0), spread, out=np.zeros_like(spread), where=spread > 0)
    reliability = np.clip(reliability, 0.0, HIGHEST_RELIABILITY)
    weights = np.sqrt(reliability / (1 - reliability))
    scale = np.sqrt(np.mean(weights**2))
    return (weights / scale if scale > 0 else np.ones_like(weights)).astype(np.float32)
