"""Read a recording in whichever format it comes, and say what is odd about it."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from dina.checks import DataError, check_choice
from dina.recordings.description import DESCRIPTION, check_options, find_description, options_for_files
from dina.recordings.formats import FORMATS
from dina.recordings.formats.stringer2018 import CONDITIONS
from dina.recordings.home_folder import expand_home
from dina.recordings.oddities import find_oddities
from dina.recordings.own_files import PACKED, describe_own_file
from dina.recordings.presentations import PRESENTATIONS
from dina.recordings.recording import Recording

_MOST_NAMED = 5


def read(
    path: Path | str, images: Path | str | None = None, labels: Path | str | None = None, options: Mapping[str, Any] | None = None
) -> Recording:
    """Read a recording in any format that is known: a published recording, a laboratory's own files, or our own file.

    Parameters
    ----------
    path
        File or folder; a ``.toml`` that says where one lies, of which format it is and how to read it; or the name of a fetched
        recording (``natimg2800_M170714_MP032_2017-09-14``).
    images, labels
        Files or folders that take the place of the recording's own images or image categories.
    options
        What else the format lets be chosen, by name, for example ``{"screens": "left"}``; each file of
        `dina.recordings.formats` states the options of its ``read``. They win over those of a ``.toml``.

    Returns
    -------
    recording
        Checked; ``notes`` says what was dropped or converted, and what is odd about the data.

    Raises
    ------
    DataError
        If the path does not exist or is of no known format, an option means nothing there, or the content cannot be used.
    """
    found = _locate(expand_home(path))
    description = find_description(found)
    if description is None:
        known = next((known for known in FORMATS.values() if known.recognises(found)), None)
    else:
        known, found = FORMATS[check_choice("format", description.format, FORMATS)], description.data
    if description is not None and known is not None and found.is_dir() and not known.recognises(found):
        inside = sorted(each.name for each in islice(found.iterdir(), 1000) if each.is_file() and known.recognises(each))
        if inside:
            raise DataError(
                f"{description.file.name}: data must be {known.accepts}; got the folder {found.name}. Write data = {inside[0]!r}."
            )
    if description is None and known is not None and known is not FORMATS["arrays"] and (found / DESCRIPTION).is_file():
        name = next(name for name, each in FORMATS.items() if each is known)
        raise DataError(
            f"{found / DESCRIPTION} must say which format it describes, since {found.name} is no folder of arrays: format = {name!r}."
        )
    if known is None:
        near = _say_near(found)
        known_formats = "" if near else f" ({', '.join(FORMATS)}): docs/bring-your-own-recording.md says what each needs."
        raise DataError(f"{found} is no recording in a known format{f'. {near.rstrip()}' if near else known_formats}")
    chosen = {"images": images, "labels": labels}
    given = {**(options or {}), **{name: expand_home(file) for name, file in chosen.items() if file is not None}}
    surplus = [option for option in given if option not in known.options()]
    if surplus:
        choices = f"Choose from: {', '.join(known.options())}." if known.options() else "Leave it out."
        what = f"Other {surplus[0]}" if chosen.get(surplus[0]) is not None else surplus[0]
        raise DataError(f"{what} cannot be chosen for {found.name}, {known.accepts}. {choices}")
    asked = [name for name in chosen if given.get(name) is not None]
    files = options_for_files(known.read)
    given = {name: expand_home(file) if name in files and isinstance(file, str) else file for name, file in given.items()}
    if description is not None:
        given = {**check_options(known.read, description.options, description.file), **given}
    recording = known.read(found, **given)
    if description is not None and description.facts:
        set_of_its_own = {"image_set": ""} if recording.image_set == recording.name else {}  # it follows a new name
        facts = dict(description.facts)
        if "n_presentations" in facts:  # one for each trial
            facts["n_presentations"] = np.full(recording.n_trials, facts["n_presentations"])
        recording = replace(recording, **{**set_of_its_own, **facts})
    news = [
        f"{name.capitalize()} were read from {given[name].name}, as asked; those that belong to the recording, if any, were passed over."
        for name in asked
    ]
    if description is None and found.is_file() and found.suffix != ".toml":
        beside = [file.name for file in (found.parent / DESCRIPTION, found.with_suffix(".toml")) if file.is_file()]
        news += [f"{name} beside {found.name} was not read; what it says counts where it is given itself." for name in beside]
    news += [sentence for sentence in find_oddities(recording) if sentence not in recording.notes]
    return replace(recording, notes=(*recording.notes, *news)) if news else recording


def _say_near(folder: Path) -> str:
    """Say what inside a folder is a recording, as after unzipping into a folder of one's own; or that the one around it is."""
    if any(known.recognises(folder.parent) for known in FORMATS.values()):
        return f"{folder.parent}, which holds it, looks like one: give that path. "
    if not folder.is_dir():
        return ""
    inside = sorted(each for each in islice(folder.iterdir(), 1000) if each.suffix != ".toml")
    below = [each for each in inside if any(known.recognises(each) for known in FORMATS.values())]
    described = [each.with_suffix(".toml") for each in below if each.with_suffix(".toml").is_file()]
    below = described or below
    if not below:
        return _say_what_lies_there(inside)
    others = f" (the first of {len(below)})" if len(below) > 1 else ""
    advice = f"put a recording.toml beside it, with {describe_own_file(below[0].name)}. "
    if below[0].suffix == ".mat" and not below[0].stem.startswith(tuple(CONDITIONS)):
        return f"{below[0].name}{others} in it is a .mat of your own: {advice}"
    other_names = f"If its arrays are not called images, responses and stimulus_id, {advice}" if below[0].suffix in PACKED else ""
    return f"{below[0]}{others}, one level down, looks like one: give that path. {other_names}"


def _say_what_lies_there(inside: list[Path]) -> str:
    """Say what a folder holds and what would make it a folder of arrays, or of activity with its table of presentations."""
    names = [each.name for each in inside]
    holds = f"It holds {', '.join(names[:_MOST_NAMED]) or 'nothing'}{', …' if len(names) > _MOST_NAMED else ''}. "
    if PRESENTATIONS in names:
        return f"{holds}{PRESENTATIONS} needs spks.npy, F.npy or suite2p/ beside it, or spike_times.npy and spike_clusters.npy. "
    return (
        f"{holds}A folder of arrays needs responses.npy, stimulus_id.npy and images.npy (or pictures in images/), or a recording.toml"
        " that says what yours are called. "
    )


def _locate(path: Path) -> Path:
    if path.exists():
        return path
    folders = []
    if len(path.parts) == 1:
        for deposit in (known.deposit for known in FORMATS.values() if known.deposit is not None):
            fetched = deposit.locate(path.name)
            if fetched.is_file():
                return fetched
            folders.append(str(fetched.parent))
    where = f", and no recording of that name has been fetched into {' or '.join(folders)}" if folders else ""
    raise DataError(f"{path} does not exist{where}. Check the path.")
