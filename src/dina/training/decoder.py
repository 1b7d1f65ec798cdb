"""dina itself as a decoder: the towers of a preset, trained on the pairs of one split."""

from copy import deepcopy
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
from jaxtyping import Float

from dina.checks import DataError, check_choice
from dina.data.pairs import Gallery, Pairs, Queries
from dina.shapes import Scores
from dina.training.aligned_towers import AlignedTowers
from dina.training.fit import fit_towers
from dina.training.history import FitHistory
from dina.training.preset_settings import PresetSettings
from dina.training.presets import PRESETS, RecordingShape, build_towers


class DinaDecoder:
    """Two aligned towers that pick the image whose maps fit the response's maps best.

    Parameters
    ----------
    preset
        Name in `PRESETS`.
    settings
        Settings of that preset; None for what it prescribes.
    seed
        Of initial weights, batch order, mixtures and dropout.
    device
        "cpu", "cuda" …
    folder
        Where checkpoints go, and are taken up again; None for none.
    image_features
        A fixed row of numbers for every image of the recording, in the order of stimulus ids; for objectives that are
        told more than the pairs.

    Attributes
    ----------
    towers
        The trained towers, after `fit`.
    towers_before_training
        The closed-form start, where the preset has one, after `fit`.
    history
        The course of training, after `fit`.
    chosen
        What the closed-form start chose by validation, after `fit`.

    Raises
    ------
    DataError
        If the preset is unknown or the settings are those of another one.
    """

    name: str = "dina"
    reads: ClassVar[Literal["images", "templates", "truth"]] = "images"

    def __init__(
        self,
        preset: str,
        settings: PresetSettings | None = None,
        seed: int = 0,
        device: str = "cpu",
        folder: Path | None = None,
        image_features: Float[np.ndarray, "image feature"] | None = None,
    ) -> None:
        expected = PRESETS[check_choice("preset", preset, PRESETS)].settings_type
        if settings is not None and not isinstance(settings, expected):
            raise DataError(f"Preset {preset!r} takes {expected.__name__}; got {type(settings).__name__}.")
        self.preset = preset
        self.settings = expected() if settings is None else settings
        self.seed = seed
        self.device = device
        self.folder = folder
        self.image_features = image_features
        self.towers: AlignedTowers | None = None
        self.towers_before_training: AlignedTowers | None = None
        self.history: FitHistory | None = None
        self.chosen: dict[str, str | float] = {}

    def fit(self, train: Pairs, validation: Pairs) -> Self:
        """Build the towers, give them their start, and train them; validation chooses the epoch."""
        row = PRESETS[self.preset]
        towers = build_towers(self.preset, self.settings, RecordingShape.of(train), self.seed)
        self.chosen = row.start(towers, self.settings, train, validation, self.seed)
        if row.has_closed_form_start:
            self.towers_before_training = deepcopy(towers).to(self.device).eval()
        self.history = fit_towers(
            towers,
            train,
            validation,
            self.settings.fit,
            self.seed,
            self.device,
            self.folder,
            image_features=self.image_features,
        )
        self.towers = towers
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

    def score_before_training(self, queries: Queries, gallery: Gallery) -> Scores | None:
        """Return the scores of the closed-form start, or None if the preset has none."""
        return None if self.towers_before_training is None else self.towers_before_training.score(queries, gallery)
