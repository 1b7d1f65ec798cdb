"""Train one image tower on several recordings, for others to read their neurons on it."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from dina.checks import DataError
from dina.models.transform_choice import choose_transform
from dina.recordings.recording import Recording
from dina.study.prepared_recordings import SplitPairs, draw_splits
from dina.study.settings import StudySettings, dina_settings, read_settings
from dina.training.batches import RecordingPairs
from dina.training.dina_decoder import fit_recordings
from dina.training.presets.pretrained_fields import ScaledFields
from dina.training.pretrained_tower import PretrainedTower


def pretrain(
    recordings: Sequence[Recording],
    path: Path | str,
    settings: StudySettings | None = None,
    device: str = "cpu",
    *,
    force: bool = False,
) -> PretrainedTower:
    """Train an image tower on one or several recordings, and write it.

    Each recording has a neural tower of its own, which is thrown away. Recordings may show different images of one size. Validation
    images choose the epoch; test images, drawn as a study with the same seed draws them, take no part. Stopped at any moment, the same
    call goes on from the last epoch.

    Parameters
    ----------
    recordings
        With different names.
    path
        Where the file goes, ending in ``.safetensors``; checkpoints lie in a folder beside it until it is written.
    settings
        Seed, split, transform of the responses, and under ``dina`` the settings of the preset `pretrained_fields`; None for the
        defaults.
    device
        "cpu", "cuda" …
    force
        Whether a file that is there is replaced.

    Raises
    ------
    DataError
        If the file is there already, names repeat, images differ in size, a recording is too small for a split, or validation
        images prefer random weights.
    """
    target = Path(path)
    check_target(target, force=force)
    chosen = read_settings(preset=ScaledFields()) if settings is None else settings
    towers = dina_settings(ScaledFields(), chosen.dina)
    members = _pairs_of(recordings, chosen)
    checkpoints = target.with_name(f"{target.stem}.checkpoints")
    found = fit_recordings(ScaledFields(), towers, members, chosen.seed, device, checkpoints)
    n_updates = found.history.updates()["kept_updates"]
    if n_updates == 0:
        raise DataError(
            "Pretraining must find weights that validation images prefer to random ones; it found none in"
            f" {found.history.n_epochs_done} epochs. Give more images, or more epochs with --set dina.fit.n_epochs."
        )
    image_tower = found.towers[members[0].name].image_tower
    parts = [part for each in members for part in (each.train, each.validation)]
    names = [recording.name for recording in recordings]
    pretrained = PretrainedTower.of(image_tower, parts, names, n_updates)
    pretrained.write(target)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return PretrainedTower.read(target)


def check_target(path: Path, *, force: bool) -> None:
    """Refuse a place where no image tower can be written.

    Raises
    ------
    DataError
        If the file does not end in ``.safetensors``, or is there already and may not be replaced.
    """
    if path.suffix != ".safetensors":
        raise DataError(f"A pretrained image tower is written as a .safetensors file; got {path.name!r}. Give it that ending.")
    if path.exists() and not force:
        raise DataError(f"{path} is there already. Choose another name, or replace it with --force.")


def _pairs_of(recordings: Sequence[Recording], settings: StudySettings) -> list[RecordingPairs]:
    """Return training and validation pairs of each recording; those of one image set have one split."""
    pairs: dict[int, RecordingPairs] = {}
    for image_set in dict.fromkeys(each.image_set for each in recordings):
        same = [number for number, each in enumerate(recordings) if each.image_set == image_set]
        split = draw_splits([recordings[number] for number in same], settings.split, [settings.seed])[0]
        for number in same:
            recording = recordings[number]
            transform = choose_transform(recording, split.train, settings.response_transform).transform
            parts = SplitPairs.of(recording, split.train, split.validation, split.test, transform)
            pairs[number] = RecordingPairs(parts.train, parts.validation, recording.name)
    return [pairs[number] for number in range(len(recordings))]
