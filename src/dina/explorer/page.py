"""The page of the explorer: one file with its script, its style and its data, which reads nothing else; or the same, served."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dina.artifacts import write_text
from dina.checks import DataError
from dina.explorer.compute import IN_ONE_FILE, check_explorable, gather, name_of
from dina.explorer.kept_maps import keep_maps, read_kept
from dina.recordings.recording import Recording
from dina.study.interpret import read_decoded
from dina.study.run_directory import Run, read_finished
from dina.study.shown_once import as_shown
from dina.study.study_result import StudyResult, place_of, preset_of
from dina.training.presets import Preset

PAGE = "explorer.html"
HERE = Path(__file__).parent


def write_explorer(
    run: Path | str | StudyResult,
    recording: Recording | None = None,
    device: str = "cpu",
    *,
    preset: Preset[Any, Any, Any] | None = None,
) -> Path:
    """Write ``explorer.html`` beside the page of a finished study of one recording, and return its path.

    The page shows what the run holds: what every decoder retrieves for each response to a test image, maps of both towers,
    occlusion, and neurons. What analyses have not computed yet is named with its command. Maps and average responses are computed
    once, from the towers and the recording, and kept in ``results/explorer.nc``; nothing else is computed. Writing twice gives the
    same bytes.

    Parameters
    ----------
    run
        What `dina.run_study` returned, or its run directory.
    recording
        The one that was studied; None if ``results/explorer.nc`` is there.
    device
        "cpu" or "cuda".
    preset
        The preset of your own with which the towers were made; needed only where ``run`` is a directory.

    Raises
    ------
    DataError
        If the study was of several recordings or in folds, has no scores of dina, holds a file that is not as it was written, or
        the recording is missing or another one.
    """
    content = _prepare(place_of(run), recording, device, preset_of(run, preset))
    kept = read_kept(content)
    assert kept is not None
    packets = gather(as_shown(content), kept, IN_ONE_FILE)
    with content.files.writing() as place:
        write_text(place(PAGE), page_text(name_of(content), packets, is_simulated=content.is_simulated))
    return content.path / PAGE


def needs_recording(run: Run) -> bool:
    """Say whether maps and responses of a run must still be computed from its recording.

    Raises
    ------
    DataError
        If the run holds nothing that could be explored.
    """
    check_explorable(run)
    return read_kept(run) is None


def renew_explorer(run: Path) -> None:
    """Write the explorer of a run again where there is one: analyses have found more since."""
    if PAGE in Run(run).files and not needs_recording(Run(run)):
        write_explorer(run)


def _prepare(
    run: Path, recording: Recording | None = None, device: str = "cpu", preset: Preset[Any, Any, Any] | None = None
) -> Run:
    """Open a run for the explorer; keep maps and responses in it where they are not kept yet.

    Raises
    ------
    DataError
        As `write_explorer`.
    """
    content = read_finished(run)
    content.check_whole()
    if needs_recording(content):
        if recording is None:
            raise DataError(
                f"The explorer of {run} needs the recording once, for maps and responses. Give the one that was studied."
            )
        keep_maps(content, read_decoded(run, recording, device, preset=preset))
    return content


def page_text(name: str, packets: Mapping[str, bytes], *, is_simulated: bool = False) -> str:
    """Return the page; ``packets`` lie in it in base64, and without any it asks the server that it came from for them."""
    folder = FileSystemLoader(HERE)
    environment = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    # the two files come with dina, and nothing else is put in without being escaped
    script, style = (Markup((HERE / file).read_text(encoding="utf-8")) for file in ("explorer.js", "explorer.css"))
    return environment.get_template("template.html").render(
        name=name,
        is_simulated=is_simulated,
        packets={key: base64.b64encode(content).decode("ascii") for key, content in packets.items()},
        policy=policy_of(is_served=not packets),
        script=script,
        style=style,
    )


def policy_of(*, is_served: bool) -> str:
    """Return the Content-Security-Policy: this script and this style by their checksums, and nothing from elsewhere."""
    script, style = (_checksum((HERE / file).read_text(encoding="utf-8")) for file in ("explorer.js", "explorer.css"))
    rules = ["default-src 'none'", f"script-src '{script}'", f"style-src '{style}'", "img-src data:"]
    rules += ["connect-src 'self'"] if is_served else []
    return "; ".join([*rules, "base-uri 'none'", "form-action 'none'"])


def _checksum(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
