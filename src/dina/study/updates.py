"""How few updates of their weights towers of a random start get, said before a study begins."""

import math

from dina.recordings.recording import Recording
from dina.study.settings import StudySettings, dina_settings
from dina.training.presets import find_preset

FEW_UPDATES = 500  # on simulated sessions the published model leaves chance after 100 to 300


def say_updates(recording: Recording, settings: StudySettings) -> str:
    """Say in a sentence how few updates towers of a random start get; "" if they start in closed form, or get many."""
    if find_preset(settings.preset).has_closed_form_start:
        return ""
    fit = dina_settings(settings.preset, settings.dina).fit
    n_shown = int((recording.repeats_per_stimulus() > 0).sum())
    n_train = n_shown * (1 - settings.split.validation_fraction - settings.split.test_fraction)
    each = math.ceil(n_train / fit.batch_size)
    if each * fit.n_epochs >= FEW_UPDATES:
        return ""
    return (
        f"Preset {settings.preset} starts from random weights and updates them {each * fit.n_epochs} times here, {each} in each of"
        f" {fit.n_epochs} epochs. With fewer than some hundred updates it stays at chance; --set 'dina.fit.n_epochs="
        f"{math.ceil(FEW_UPDATES / each)}' gives {FEW_UPDATES}."
    )
