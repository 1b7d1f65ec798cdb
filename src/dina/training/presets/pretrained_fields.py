"""Preset `pretrained_fields`: an image tower that other recordings have trained, and fields of the neurons that are learnt."""

from pathlib import Path
from typing import ClassVar

from dina.models.towers.image.scaled_pathways import ScaledPathways
from dina.models.towers.neural.placed_fields import PlacedFields
from dina.training.aligned_towers import AlignedTowers
from dina.training.batches import RecordingPairs
from dina.training.comparison import CosineComparison
from dina.training.fit import FitSettings
from dina.training.presets.learnt_fields import LearntFieldsSettings, start_fields
from dina.training.presets.preset import Preset, RecordingShape
from dina.training.pretrained_tower import PretrainedTower
from dina.training.start import Chosen, NeuronPrior

SHIPPED = Path(__file__).with_suffix(".safetensors")  # written by benchmarks/pretraining.py

Towers = AlignedTowers[ScaledPathways, PlacedFields]


class PretrainedFieldsSettings(LearntFieldsSettings):
    """A pretrained image tower, and placed fields that are trained on it.

    Parameters
    ----------
    image_tower
        File of an image tower that ``dina pretrain`` wrote; empty for the one that comes with dina, trained on simulated sessions.
    fit
        Training of the fields.
    """

    image_tower: str = ""
    fit: FitSettings = LearntFieldsSettings().fit


class ScaledFields(Preset[PretrainedFieldsSettings, ScaledPathways, PlacedFields]):
    """The same towers, both trained from random weights: what ``dina pretrain`` trains."""

    settings_type = PretrainedFieldsSettings
    is_shared: ClassVar[bool] = True

    def build(self, settings: PretrainedFieldsSettings, shape: RecordingShape) -> Towers:
        """Build both towers."""
        image_tower = ScaledPathways(shape.image, settings.map_channels)
        neural_tower = PlacedFields(shape.n_neurons, image_tower.map_shape, settings.dropout)
        return AlignedTowers(image_tower, neural_tower, CosineComparison(settings.temperature, is_learnt=True, is_centred=True))

    def join(
        self, towers: Towers, settings: PretrainedFieldsSettings, prior: NeuronPrior | None, recording: RecordingPairs
    ) -> Chosen:
        """Set the places of the neurons, and weight their responses by reliability."""
        start_fields(towers.neural_tower, settings, recording.train)
        return {}


class PretrainedFields(ScaledFields):
    """The image tower comes from other recordings and stays as it is; only the fields of the neurons and the scale are learnt.

    With few images this finds more of them than towers that must learn their filters from the same images (docs/pretraining.md).
    """

    is_shared: ClassVar[bool] = False

    def join(
        self, towers: Towers, settings: PretrainedFieldsSettings, prior: NeuronPrior | None, recording: RecordingPairs
    ) -> Chosen:
        """Read the image tower, and start the fields.

        Raises
        ------
        DataError
            If the file cannot be used, or its image tower was trained on images of this recording.
        """
        pretrained = PretrainedTower.read(Path(settings.image_tower).expanduser() if settings.image_tower else SHIPPED)
        pretrained.check_unseen([recording.train, recording.validation])
        pretrained.load_into(towers.image_tower)
        super().join(towers, settings, prior, recording)
        n = len(pretrained.recordings)
        return {
            "pretrained_on": f"{n} recording{'s' * (n != 1)}, {pretrained.n_updates:,} updates (SHA-256 {pretrained.sha256[:12]})"
        }
