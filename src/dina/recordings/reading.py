"""Read a recording in whichever format it comes, and say what is odd about it."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from dina.checks import DataError
from dina.recordings.formats import FORMATS
from dina.recordings.recording import Recording

_OUTLIER_FACTOR = 1e3  # standard deviation against the median neuron's; log-normal populations stay below 100


def read(
    path: Path | str, images: Path | str | None = None, labels: Path | str | None = None, options: Mapping[str, str] | None = None
) -> Recording:
    """Read a recording in any format that is known: a published recording, a folder of arrays, or our own file.

    Parameters
    ----------
    path
        File or folder; or the name of a fetched recording (``natimg2800_M170714_MP032_2017-09-14``).
    images, labels
        Files or folders that take the place of the recording's own images or image categories.
    options
        What else the format lets be chosen, by name, for example ``{"screens": "left"}``; each file of
        `dina.recordings.formats` states the options of its ``read``.

    Returns
    -------
    recording
        Checked; ``notes`` says what was dropped or converted, and what is odd about the data.

    Raises
    ------
    DataError
        If the path does not exist or is of no known format, an option means nothing there, or the content cannot be used.
    """
    found = _locate(Path(path).expanduser())
    known = next((known for known in FORMATS.values() if known.recognises(found)), None)
    if known is None:
        accepted = "; ".join(known.accepts for known in FORMATS.values())
        raise DataError(f"{found} is no recording in a known format. Accepted are: {accepted}.")
    chosen = {"images": images, "labels": labels}
    given = {**(options or {}), **{name: Path(file).expanduser() for name, file in chosen.items() if file is not None}}
    surplus = [option for option in given if option not in known.options()]
    if surplus:
        choices = f"Choose from: {', '.join(known.options())}." if known.options() else "Leave it out."
        raise DataError(f"{surplus[0]} cannot be chosen for {found.name}, {known.accepts}. {choices}")
    recording = known.read(found, **given)
    news = tuple(sentence for sentence in find_oddities(recording) if sentence not in recording.notes)
    return replace(recording, notes=(*recording.notes, *news)) if news else recording


def find_oddities(recording: Recording) -> tuple[str, ...]:
    """Return one sentence for each fact to know before a recording is analysed; nothing is changed.

    Constant neurons stay in (they are 0 after standardising and carry nothing), and so do duplicates and outliers: choosing
    neurons is the experimenter's business.
    """
    return (*_odd_neurons(recording), *_odd_images(recording))


def _odd_neurons(recording: Recording) -> list[str]:
    responses, n = recording.responses, recording.n_neurons
    constant = responses.min(axis=0) == responses.max(axis=0)
    sentences = []
    if constant.any():
        silent = int((constant & (responses[0] == 0)).sum())
        sentences.append(f"{int(constant.sum())} of {n} neurons never change ({silent} are always 0); they carry nothing.")
    pairs = _duplicates(responses, constant)
    if pairs:
        a, b = pairs[0]
        sentences.append(
            f"{len(pairs)} neurons are exact copies of another (first: {b} of {a}), as overlapping regions of interest are."
            " Their contributions cannot be separated."
        )
    deviation = responses.std(axis=0, dtype=np.float64)
    typical = float(np.median(deviation[~constant]))
    huge = np.flatnonzero(deviation > _OUTLIER_FACTOR * typical)
    if len(huge):
        sentences.append(
            f"{len(huge)} neurons vary more than {_OUTLIER_FACTOR:g} times as much as the median neuron (first: neuron {huge[0]}):"
            " check their units."
        )
    negative = float((responses < 0).mean())
    if negative > 0:
        sentences.append(f"{100 * negative:.1f} % of the responses are negative; deconvolved activity and spike counts are not.")
    return sentences


def _duplicates(responses: np.ndarray, skip: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (first, copy) of equal columns; sums that agree exactly name the candidates, so that few are compared."""
    candidates: dict[float, list[int]] = defaultdict(list)
    pairs = []
    total = responses.sum(axis=0, dtype=np.float64)
    for copy in np.flatnonzero(~skip).tolist():
        earlier = candidates[float(total[copy])]
        first = next((other for other in earlier if np.array_equal(responses[:, other], responses[:, copy])), None)
        if first is not None:
            pairs.append((first, copy))
        earlier.append(copy)
    return pairs


def _odd_images(recording: Recording) -> list[str]:
    n, sentences = recording.n_stimuli, []
    flat = recording.images.reshape(n, -1)
    blank = np.flatnonzero(flat.min(axis=1) == flat.max(axis=1))
    if len(blank):
        sentences.append(f"{len(blank)} of {n} images are blank, one grey level throughout (first: image {blank[0]}).")
    unseen = int((recording.repeats_per_stimulus() == 0).sum())
    if unseen:
        sentences.append(f"{unseen} of {n} images were never shown.")
    return sentences


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
