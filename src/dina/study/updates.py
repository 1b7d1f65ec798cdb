"""How few updates of their weights the published towers get, said before a study begins."""

import math

from dina.recordings.recording import Recording
from dina.study.settings import StudySettings, dina_settings
from dina.training.presets import Paper, find_preset

FEW_UPDATES = 500


def say_updates(recording: Recording, settings: StudySettings) -> str:
    """Say in a sentence how few updates the published towers get; "" for towers of other presets, or of many updates."""
    if not isinstance(find_preset(settings.preset), Paper):
        return ""
    fit = dina_settings(settings.preset, settings.dina).fit
    n_shown = int((recording.repeats_per_stimulus() > 0).sum())
    n_train = n_shown * (1 - settings.split.validation_fraction - settings.split.test_fraction)
    each = math.ceil(n_train / fit.batch_size)
    if each * fit.n_epochs >= FEW_UPDATES:
        return ""
    enough = math.ceil(FEW_UPDATES / each)
    return (
        f"Preset {settings.preset} starts from random weights and updates them {each * fit.n_epochs} times here (epochs:"
        f" {fit.n_epochs}). On simulated sessions the published towers stayed at chance for their first 100 to 300 updates;"
        f" --set dina.fit.n_epochs={enough} gives {enough * each}."
    )
