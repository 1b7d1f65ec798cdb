"""The contract of presets: how towers are built from settings, and what they learn in closed form before training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.data.response_transform import Units
from dina.models.towers.tower import initialise
from dina.short_words import brief
from dina.training.aligned_towers import AlignedTowers, Image, Neural
from dina.training.batches import RecordingPairs
from dina.training.comparison import HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE
from dina.training.fit import FitSettings, TrainingPlan
from dina.training.objectives import Objective
from dina.training.start import Chosen, NeuronPrior

# Of the softmax in the contrastive objective; dimensionless.
Temperature = Annotated[float, Field(ge=LOWEST_TEMPERATURE, le=HIGHEST_TEMPERATURE)]


class PresetSettings(BaseModel):
    """Settings that every preset has: how the towers are trained. Each preset adds more."""

    __repr__ = __str__ = brief

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    fit: FitSettings = FitSettings()


@dataclass(frozen=True)
class RecordingShape:
    """Sizes for which towers are built: of the images, in pixels, and of the population."""

    n_channels: int
    height: int
    width: int
    n_neurons: int

    @classmethod
    def of(cls, pairs: Pairs) -> "RecordingShape":
        """Return the sizes of some pairs."""
        n_channels, height, width = (int(extent) for extent in pairs.images.shape[1:])
        return cls(n_channels, height, width, pairs.n_neurons)

    @property
    def image(self) -> tuple[int, int, int]:
        """Channels, height and width of the images."""
        return self.n_channels, self.height, self.width


Settings = TypeVar("Settings", bound=PresetSettings)


class Preset(Generic[Settings, Image, Neural]):
    """One way to build and start a pair of towers for each recording.

    A preset of your own derives from this class, or from one of the presets, with its settings, image tower and neural tower,
    writes `build`, and `join` where its towers learn anything in closed form. It is given as an object wherever the name of a
    preset is taken: ``dina.run_study(recording, preset=MyPreset())``.

    Parameters
    ----------
    objective
        Makes an objective of your own, for example a class that derives from `dina.training.objectives.Objective`; None for
        the one that the settings name.
    """

    settings_type: type[Settings]  # its defaults are those of the preset
    has_closed_form_start: ClassVar[bool] = False  # the towers can decode before any training by gradients
    units: ClassVar[Units] = "chosen"  # of the responses that its towers read
    is_shared: ClassVar[bool] = False  # several recordings can share its image tower

    def __init__(self, objective: Callable[[], Objective] | None = None) -> None:
        self.objective = self._check_maker("objective", objective)

    def _check_maker(self, name: str, maker: Any) -> Any:
        if maker is not None and (not callable(maker) or isinstance(maker, nn.Module)):
            raise DataError(
                f"{name} must be a class or a function that makes what it names; got {type(maker).__name__}. Give the class, not an"
                " object of it."
            )
        return maker

    def __repr__(self) -> str:
        """Name the class and the parts that were given."""
        return f"{type(self).__name__}({', '.join(f'{name}={words}' for name, words in self.own_parts().items())})"

    def own_parts(self) -> dict[str, str]:
        """Return the names of the parts that a user gave, by argument; empty for a preset as it is."""
        given = {name: value for name, value in vars(self).items() if value is not None and value != {}}
        return {
            name: ", ".join(value) if isinstance(value, Mapping) else getattr(value, "__name__", type(value).__name__)
            for name, value in given.items()
        }

    def build(self, settings: Settings, shape: RecordingShape) -> AlignedTowers[Image, Neural]:
        """Build the towers; `build_towers` then draws their weights, or `dina.training.saved.load_towers` reads them.

        Raises
        ------
        DataError
            If the towers cannot take the images.
        """
        raise NotImplementedError

    def build_beside(
        self, first: AlignedTowers[Image, Neural], settings: Settings, shape: RecordingShape, generator: torch.Generator
    ) -> AlignedTowers[Image, Neural]:
        """Build towers for a further recording around the image tower of the first one, and draw the other weights."""
        towers = self.build(settings, shape)
        initialise(towers, generator)
        return AlignedTowers(first.image_tower, towers.neural_tower, towers.comparison)

    def start(
        self, towers: Sequence[AlignedTowers[Image, Neural]], settings: Settings, recordings: Sequence[RecordingPairs]
    ) -> tuple[NeuronPrior | None, Chosen]:
        """Learn from all recordings, in place, whatever has a closed form; called once before training.

        Training pairs teach; validation pairs may choose between settings. Returns the prior with which a further recording can
        start (None without a closed form), and what validation chose.
        """
        chosen = [self.join(each, settings, None, recording) for each, recording in zip(towers, recordings, strict=True)]
        return None, chosen[0] if len(chosen) == 1 else {}  # of several recordings, choices are not kept

    def join(
        self, towers: AlignedTowers[Image, Neural], settings: Settings, prior: NeuronPrior | None, recording: RecordingPairs
    ) -> Chosen:
        """Do the same for one further recording, and change nothing that is shared; return what validation chose."""
        return {}

    def plan(self, settings: Settings) -> TrainingPlan:
        """Return how training differs from one objective throughout."""
        return TrainingPlan()
