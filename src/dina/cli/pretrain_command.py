"""The command that trains an image tower on several recordings, for others to use."""

import logging
import time
from pathlib import Path
from typing import Annotated

import typer

from dina.cli.commands import Device, Force, Images, Overrides, Seed, StudyFile, Threads
from dina.cli.hardware import choose_device, set_threads
from dina.safe_words import say

# everything else is imported in functions: `dina --help` stays quick, and threads are set before torch is loaded

log = logging.getLogger(__name__)


def pretrain(
    recordings: Annotated[
        list[str],
        typer.Argument(metavar="RECORDING...", help="One or several, as `dina study` takes them, with images of one size."),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE.safetensors", help="Where the image tower goes.")],
    study_file: StudyFile = None,
    overrides: Overrides = None,
    seed: Seed = None,
    device: Device = "auto",
    threads: Threads = None,
    force: Force = False,
    images: Images = None,
) -> None:
    """Train an image tower on several recordings, for recordings with other images and few of them.

    Study those with --preset pretrained_fields --set dina.image_tower="FILE.safetensors". Stopped at any moment, the same command
    goes on from what was finished.
    """
    began = time.monotonic()
    set_threads(threads)
    from dina.cli.sessions import open_each, settle
    from dina.study.pretraining import check_target
    from dina.study.pretraining import pretrain as train
    from dina.study.settings import read_settings
    from dina.training.presets.pretrained_fields import ScaledFields

    changes = [*(overrides or []), *([f"seed={seed}"] if seed is not None else [])]
    settings = read_settings(study_file, changes, ScaledFields())
    check_target(out, force=force)
    opened = open_each([settle(recording) for recording in recordings], images, settings.seed)
    found = train(opened, out, settings, choose_device(device), force=force)
    n = len(found.recordings)
    say(f"Image tower: {out}, of {n} recording{'s' * (n != 1)}, {len(found.images):,} images, {found.n_updates:,} updates.")
    say(f"Next: dina study RECORDING --preset pretrained_fields --set 'dina.image_tower=\"{out}\"'")
    log.info("Done in %.0f s.", time.monotonic() - began)
