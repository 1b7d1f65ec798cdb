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
    path: Path | str,
    images: Path | str | None = None,
    labels: Path | str | None = None,
    options: Mapping[str, str] | None = None,
) -> Recording:
    """Read a recording in any format that is known: a published recording, a folder of arrays, or our own file.

    Parameters
    ----------
    path
        File or folder; or the name of a fetched recording (``natimg2800_M170714_MP032_2017-09-14``).
    images
        File or folder of images that takes the place of the recording's own.
    labels
        File of image categories that takes the place of the recording's own.
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
        If there is nothing at the path, it is of no known format, an option means nothing there, or its content cannot be
        used.
    """
    found = _locate(Path(path).expanduser())
    known = next((known for known in FORMATS.values() if known.recognises(found)), None)
    if known is None:
        accepted = "; ".join(known.accepts for known in FORMATS.values())
        raise DataError(f"{found} is no recording in a known format. Accepted are: {accepted}.")
    given: dict[str, Path | str] = dict(options or {})
    given |= {name: Path(file).expanduser() for name, file in (("images", images), ("labels", labels)) if file is not None}
    surplus = [option for option in given if option not in known.options()]
    if surplus:
        choices = f"Choose from: {', '.join(known.options())}." if known.options() else "Leave it out."
        raise DataError(f"{surplus[0]} cannot be chosen for {found.name}, {known.accepts}. {choices}")
    recording = known.read(found, **given)
    news = tuple(sentence for sentence in find_oddities(recording) if sentence not in recording.notes)
    return replace(recording, notes=(*recording.notes, *news)) if news else recording


def find_oddities(recording: Recording) -> tuple[str, ...]:
    """Return one sentence for each thing worth knowing before a recording is analysed.

    Constant neurons stay in (they are 0 after standardising and carry nothing); so do duplicates and outliers,
    since choosing neurons is the experimenter's business. Nothing is changed.

    Parameters
    ----------
    recording
        Any valid recording.

    Returns
    -------
    sentences
        Empty if there is nothing to say.
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
            " The contribution of one cannot be separated from that of the other."
        )
    deviation = responses.std(axis=0, dtype=np.float64)
    typical = float(np.median(deviation[~constant]))
    huge = np.flatnonzero(deviation > _OUTLIER_FACTOR * typical)
    if len(huge):
        sentences.append(
            f"{len(huge)} neurons vary more than {_OUTLIER_FACTOR:g} times as much as the median neuron (first: neuron {huge[0]});"
            " check their units."
        )
    negative = float((responses < 0).mean())
    if negative > 0:
        sentences.append(
            f"{100 * negative:.1f} % of the responses are negative; deconvolved activity and spike counts never are."
        )
    return sentences


def _duplicates(responses: np.ndarray, skip: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (first, copy) of equal columns; sums that agree exactly name the candidates, so that few are compared."""
    candidates: dict[float, list[int]] = defaultdict(list)
    total = responses.sum(axis=0, dtype=np.float64)
    for neuron in np.flatnonzero(~skip):
        candidates[float(total[neuron])].append(int(neuron))
    pairs = []
    for group in candidates.values():
        for i, copy in enumerate(group):
            first = next((other for other in group[:i] if np.array_equal(responses[:, other], responses[:, copy])), None)
            if first is not None:
                pairs.append((first, copy))
    return sorted(pairs, key=lambda pair: pair[1])


def _odd_images(recording: Recording) -> list[str]:
    sentences = []
    flat = recording.images.reshape(recording.n_stimuli, -1)
    blank = np.flatnonzero(flat.min(axis=1) == flat.max(axis=1))
    if len(blank):
        sentences.append(
            f"{len(blank)} of {recording.n_stimuli} images are blank, one grey level throughout (first: image {blank[0]})."
        )
    unseen = int((recording.repeats_per_stimulus() == 0).sum())
    if unseen:
        sentences.append(f"{unseen} of {recording.n_stimuli} images were never shown.")
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
