"""The command check: what a recording holds, what to doubt, and what a study of it would need; nothing is fitted."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dina.cli.commands import Images, Threads
from dina.cli.hardware import set_threads
from dina.cli.process import WRONG_INPUT
from dina.safe_words import say

if TYPE_CHECKING:
    import numpy as np

    from dina.figures.parts import Table
    from dina.recordings import Recording


def check(
    recording: Annotated[str, typer.Argument(metavar="RECORDING", help="A file or folder, or what else `dina study` takes.")],
    images: Images = None,
    threads: Threads = None,
) -> None:
    """Read a recording, describe it and say what to doubt, and what memory and time a study would need.

    Ends with exit code 2 where the recording cannot be read, or cannot be split as studies split by default.
    """
    n_threads = set_threads(threads)
    from dina.cli.sessions import open_recording
    from dina.cli.tables import print_report_table
    from dina.study.needs import say_needs

    opened = open_recording(recording, _there(images), 0)
    reliability = _reliability(opened)
    doubts, refusal = _doubts(opened, reliability)
    print_report_table(_facts(opened, reliability), [*doubts, say_needs(opened, n_threads)[0]], style="")
    if refusal:
        say(f"dina: A study would be refused: {refusal}", is_error=True)
        raise typer.Exit(WRONG_INPUT)


def _there(images: Path | None) -> Path | None:
    """Return the path, if it is there: a wrong one is a mistake of the command, not of the recording."""
    from dina.checks import DataError

    if images is not None and not images.exists():
        raise DataError(f"{images} must be the images, a file or folder; it does not exist. Correct --images.")
    return images


def _facts(recording: "Recording", reliability: "np.ndarray") -> "Table":
    from dina.figures.parts import Table
    from dina.recordings.recording import KIND_FACTS

    counts = recording.repeats_per_stimulus()
    shown = counts[counts > 0]
    _, channels, height, width = recording.images.shape
    low, high = float(recording.images.min()), float(recording.images.max())
    responses = recording.responses
    present = {
        "positions of neurons": recording.neuron_position_um is not None,
        "red neurons": recording.is_red is not None,
        "labels": recording.labels is not None,
        "spontaneous activity": recording.spontaneous is not None,
        "what the animal did": recording.covariates is not None,
    }
    rows = (
        ("name", recording.name),
        ("animal", recording.animal or "not stated"),
        *((name, getattr(recording, name) or "not stated") for name in KIND_FACTS),
        ("condition", recording.condition or "not stated"),
        ("neurons", f"{recording.n_neurons:,}"),
        ("images", f"{recording.n_stimuli:,}, of which {len(shown):,} were shown"),
        ("trials", f"{recording.n_trials:,}, {_span(shown)} of each image shown"),
        ("presentations averaged by a trial", _span(recording.n_presentations)),
        ("repeats of an image", _say_repeats(reliability)),
        ("size of images", f"{height} x {width} pixels (height x width), {'grey' if channels == 1 else 'colour'}"),
        ("pixels", f"{recording.images.dtype}, {low:g} to {high:g}; mid grey {recording.mid_grey:g}"),
        (
            "responses",
            f"{responses.min():.4g} to {responses.max():.4g}, mean {responses.mean(dtype=float):.4g} ({recording.response_units or 'unit not stated'})",
        ),
        ("also given", ", ".join(name for name, is_there in present.items() if is_there) or "nothing"),
    )
    return Table("What the recording holds.", ("fact", "value"), rows, n_words=2)


def _images_were(n: int) -> str:
    return "1 image was" if n == 1 else f"{n:,} images were"


def _span(counts: "np.ndarray") -> str:
    return f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"


def _reliability(recording: "Recording") -> "np.ndarray":
    """Return the reliability of each neuron whose trials vary; empty without repeats."""
    import numpy as np

    from dina.statistics.reliability import split_half_reliability

    if (recording.repeats_per_stimulus() > 1).sum() < 3:
        return np.empty(0)
    found = split_half_reliability(recording.responses, recording.stimulus_id)
    return found[np.isfinite(found)]


def _say_repeats(reliability: "np.ndarray") -> str:
    import numpy as np

    if not len(reliability):
        return "fewer than three images have two trials: reliability is unknown"
    median, best = np.quantile(reliability, [0.5, 0.9])
    return f"halves correlate: {median:.2f} in the median neuron, {best:.2f} or more in the best tenth"


def _doubts(recording: "Recording", reliability: "np.ndarray") -> tuple[list[str], str]:
    """Return the notes of the reader with what the split of the default study meets, and why it would be refused, if it is."""
    import numpy as np

    from dina.checks import DataError
    from dina.models.spaces.trained_network import TrainedNetwork
    from dina.study.likeness import judge_likeness, judge_twins
    from dina.study.prepared_recordings import draw_splits
    from dina.study.settings import SplitSettings

    doubts = list(recording.notes)
    once = np.flatnonzero(recording.repeats_per_stimulus() == 1)
    averaged = int(np.isin(once, recording.stimulus_id[recording.n_presentations > 1]).sum())
    if averaged:
        have = "1 image has one average" if averaged == 1 else f"{averaged:,} images have one average each"
        doubts.append(f"{have}: reliability cannot be measured from it.")
    if len(once) > averaged:
        doubts.append(
            f"{_images_were(len(once) - averaged)} shown once: reliability cannot be measured from this. If responses are averages,"
            " write n_presentations into a recording.toml (of arrays: under [responses])."
        )
    n_repeated = int((recording.repeats_per_stimulus() > 1).sum())
    if len(reliability) and np.quantile(reliability, 0.9) < 2 / np.sqrt(n_repeated):  # of halves without a relation it is 1.28
        doubts.append(
            "Responses to an image hardly repeat, no more than by chance: do stimulus_id and responses belong to the same trials?"
        )
    try:
        (split,) = draw_splits([recording], SplitSettings(), [0])
    except DataError as error:
        return [f"Note: {doubt}" for doubt in doubts], str(error)
    lacking = TrainedNetwork.explain_absence(recording.images.shape[1:])
    doubts += filter(None, [lacking, judge_twins(split), judge_likeness(recording.images, split)[1]])
    return [f"Note: {doubt}" for doubt in doubts] or ["Nothing odd was found."], ""
