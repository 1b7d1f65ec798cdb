"""A recipe for several recordings, left alone with one, as a decoder beside all others."""

from typing import ClassVar, Literal, Self

from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries
from dina.shapes import Scores
from dina.training.aligned_towers import AlignedTowers
from dina.training.history import FitHistory
from dina.training.joint_decoder import fit_jointly
from dina.training.preset_settings import PresetSettings
from dina.training.shared_towers import RecordingPairs

ALONE = "alone"


class JointPresetDecoder:
    """Two towers by a recipe that wants several recordings, trained on one: nothing is shared, the rest is as prescribed.

    Parameters
    ----------
    preset
        Name in `dina.training.joint_presets.JOINT_PRESETS`.
    settings
        Settings of that preset; None for what it prescribes.
    seed
        Of initial weights, batch order, mixtures and dropout.
    device
        "cpu", "cuda" …

    Attributes
    ----------
    towers
        The trained towers, after `fit`.
    history
        The course of training, after `fit`.
    chosen
        What a closed-form start chose by validation, after `fit`.
    """

    name: str = "dina"
    reads: ClassVar[Literal["images", "templates", "truth"]] = "images"

    def __init__(self, preset: str, settings: PresetSettings | None = None, seed: int = 0, device: str = "cpu") -> None:
        self.preset = preset
        self.settings = settings
        self.seed = seed
        self.device = device
        self.towers: AlignedTowers | None = None
        self.history: FitHistory | None = None
        self.chosen: dict[str, str | float] = {}

    def fit(self, train: Pairs, validation: Pairs) -> Self:
        """Build the towers and train them; validation chooses the epoch.

        Raises
        ------
        DataError
            If the preset is unknown.
        """
        joint = fit_jointly(self.preset, self.settings, [RecordingPairs(ALONE, train, validation)], self.seed, self.device)
        self.towers, self.history, self.chosen = joint.towers.of(ALONE), joint.history, joint.chosen
        return self

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Return how well each gallery image fits each query.

        Raises
        ------
        DataError
            If the decoder has not been fitted.
        """
        if self.towers is None:
            raise DataError("The decoder must be fitted before it can score; call fit(train, validation) first.")
        return self.towers.score(queries, gallery)
