"""Preset `pretrained_fields`: an image tower that other recordings have trained, and fields of the neurons that are learnt."""

from pathlib import Path
from typing import ClassVar

from dina.models.towers.image.scaled_pathways import ScaledPathways
from dina.models.towers.tower import MapShape
from dina.recordings.home_folder import expand_home
from dina.training.batches import RecordingPairs
from dina.training.presets.learnt_fields import FieldsPreset, LearntFieldsSettings, Towers
from dina.training.pretrained_tower import PretrainedTower
from dina.training.start import Chosen, NeuronPrior

SHIPPED = Path(__file__).with_suffix(".safetensors")  # written by benchmarks/pretraining.py


class PretrainedFieldsSettings(LearntFieldsSettings):
    """A pretrained image tower, and placed fields that are trained on it.

    Parameters
    ----------
    image_tower
        File of an image tower that ``dina pretrain`` wrote; empty for the one that comes with dina, trained on simulated sessions.
    """

    image_tower: str = ""


class ScaledFields(FieldsPreset[PretrainedFieldsSettings]):
    """The same towers, both trained from random weights: what ``dina pretrain`` trains."""

    settings_type = PretrainedFieldsSettings
    is_shared: ClassVar[bool] = True

    def build_image_tower(self, image_shape: MapShape, n_channels: int) -> ScaledPathways:
        """Build pathways that see every image at one size."""
        return ScaledPathways(image_shape, n_channels)


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
        pretrained = PretrainedTower.read(expand_home(settings.image_tower) if settings.image_tower else SHIPPED)
        pretrained.check_unseen([recording.train, recording.validation])
        pretrained.load_into(towers.image_tower)
        super().join(towers, settings, prior, recording)
        n = len(pretrained.recordings)
        return {
            "pretrained_on": f"{n} recording{'s' * (n != 1)}, {pretrained.n_updates:,} updates (SHA-256 {pretrained.sha256[:12]})"
        }
