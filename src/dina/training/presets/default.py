"""Preset `default`: V1-like channels, local fields and shared noise, started in closed form."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, ClassVar

from pydantic import Field

from dina.checks import DataError
from dina.models.spaces import SPACES, FeatureSpace
from dina.models.towers.image.feature_stack import FeatureStack
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.training.aligned_towers import AlignedTowers
from dina.training.batches import RecordingPairs
from dina.training.comparison import LikelihoodComparison
from dina.training.fit import FitSettings
from dina.training.objectives import Objective
from dina.training.presets.preset import Preset, PresetSettings, RecordingShape
from dina.training.start import Chosen, NeuronPrior, start_at_encoding_models, start_new_recording
from dina.training.state import OptimiserSettings

Towers = AlignedTowers[FeatureStack, ProjectiveFields]


class DefaultSettings(PresetSettings):
    """V1-like channels, local fields, shared noise: started in closed form, then trained together.

    Parameters
    ----------
    stride
        Pixels between places of the map; None for 17 places along the shorter side of the image.
    n_orientations
        Orientations of the Gabor filters.
    n_contrasts
        Knots of the contrast gain.
    has_phases
        Whether rectified phases (simple cells) are among the channels.
    order
        Order of the local patterns that make up a field.
    spaces
        Feature spaces beside the local channels, names in `dina.models.spaces.SPACES`; those that do not help are dropped. The local
        channels always take part, without being named. By default all but ``recording_network``, which takes minutes.
    widths
        Widths of the field window to choose from by leave-one-out over training images, in places of the map.
    n_noise_components
        Largest number of shared noise components.
    dropout
        Probability of silencing a neuron while training.
    fit
        Training of what has no closed form: gains of channels, of contrasts and of neurons, and the scale.
    """

    stride: int | None = Field(None, ge=1)
    n_orientations: int = Field(4, ge=2)
    n_contrasts: int = Field(8, ge=2)
    has_phases: bool = True
    order: int = Field(2, ge=0, le=4)
    spaces: tuple[str, ...] = tuple(name for name, kind in SPACES.items() if kind.is_by_default)
    widths: tuple[Annotated[float, Field(gt=0)], ...] = Field((0.5, 0.75, 1.1, 1.7, 2.5), min_length=1)
    n_noise_components: int = Field(512, ge=1)
    dropout: float = Field(0.25, ge=0, lt=1)
    fit: FitSettings = FitSettings(
        n_epochs=2,
        batch_size=256,
        image=OptimiserSettings(learning_rate=3e-3, weight_decay=0.0),
        neural=OptimiserSettings(learning_rate=3e-3, weight_decay=0.0),
        patience=1,
    )


class Default(Preset[DefaultSettings, FeatureStack, ProjectiveFields]):
    """The likelihood of an encoding model compares the features of images with the projective fields of the neurons.

    Parameters
    ----------
    objective
        As in `Preset`.
    spaces
        Further feature spaces by name, classes that derive from `FeatureSpace` or, more simply, from `ComponentSpace`. They are
        stacked beside the local channels, which always take part, and those that the settings name; those that do not help are
        dropped.

    Raises
    ------
    DataError
        If a name is taken or no word, or a class is no feature space with dense weights.
    """

    settings_type = DefaultSettings
    has_closed_form_start: ClassVar[bool] = True
    is_shared: ClassVar[bool] = True

    def __init__(
        self,
        objective: Callable[[], Objective] | None = None,
        spaces: Mapping[str, type[FeatureSpace]] = MappingProxyType({}),
    ) -> None:
        super().__init__(objective)
        for name, space in spaces.items():
            if name in SPACES or name == "local" or not name.isidentifier():
                raise DataError(
                    f"A feature space of your own needs a name that is a word and not taken; got {name!r}. Rename it."
                )
            if not (isinstance(space, type) and issubclass(space, FeatureSpace) and space.is_whole):
                raise DataError(
                    f"The feature space {name} must be a class that derives from FeatureSpace and has dense weights; got {space!r}."
                    " Derive it from dina.models.spaces.components.ComponentSpace."
                )
        self.spaces = dict(spaces)

    def build(self, settings: DefaultSettings, shape: RecordingShape) -> Towers:
        """Build both towers; neither decodes before `start`.

        Raises
        ------
        DataError
            If there is no feature space of a name in ``settings.spaces``.
        """
        known = {**SPACES, **self.spaces}
        if unknown := [name for name in settings.spaces if name not in known]:
            raise DataError(
                f"The setting dina.spaces names feature spaces beside the local channels, which always take part; got {unknown[0]!r}."
                f" Choose from: {', '.join(known)}."
            )
        image_tower = FeatureStack(
            settings.spaces,
            shape.image,
            settings.stride,
            settings.n_orientations,
            settings.n_contrasts,
            has_phases=settings.has_phases,
            own=self.spaces,
        )
        n_components = min(settings.n_noise_components, shape.n_neurons)
        neural_tower = ProjectiveFields(shape.n_neurons, image_tower.map_shape, settings.order, n_components, settings.dropout)
        return AlignedTowers(image_tower, neural_tower, LikelihoodComparison(neural_tower))

    def start(
        self, towers: Sequence[Towers], settings: DefaultSettings, recordings: Sequence[RecordingPairs]
    ) -> tuple[NeuronPrior | None, Chosen]:
        """Set all towers to encoding models of the training pairs."""
        neural_towers = [each.neural_tower for each in towers]
        prior, chosen = start_at_encoding_models(towers[0].image_tower, neural_towers, recordings, settings.widths)
        if len(recordings) > 1:
            return prior, chosen
        stack = towers[0].image_tower
        reasons = (stack.kinds[name].explain_absence(stack.image_shape) for name in (*settings.spaces, *self.spaces))
        absent = " ".join(dict.fromkeys(reason for reason in reasons if reason))
        return prior, {**chosen, "absent_spaces": absent} if absent else chosen

    def join(self, towers: Towers, settings: DefaultSettings, prior: NeuronPrior | None, recording: RecordingPairs) -> Chosen:
        """Set the neural tower to an encoding model with the prior that other recordings have learnt.

        Raises
        ------
        ValueError
            If there is no prior.
        """
        if prior is None:
            raise ValueError("A recording joins with the prior of others; got none. Start the others first.")
        return start_new_recording(towers.image_tower, towers.neural_tower, prior, recording.train, recording.validation)
