"""What is odd about a recording without being a reason to refuse it: silent neurons, blank images, outliers."""

from collections import defaultdict

import numpy as np

from dina.recordings.recording import Recording

_OUTLIER_FACTOR = 1e3  # standard deviation against the median neuron's; log-normal populations stay below 100


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
            " What one of them contributes cannot be told from the other."
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
