"""What is odd about a recording: one sentence for each fact to know before it is analysed; nothing is changed."""

import hashlib

import numpy as np

from dina.large_arrays import blocks_of
from dina.recordings.recording import Recording

_OUTLIER_FACTOR = 1e3  # standard deviation against the median neuron's; log-normal populations stay below 100
_LEAST_VARIATION = 1e-4  # of the mean: float32 keeps seven digits, so below this a neuron's variation has three
_MISSING_WORDS = (-1.0, -9.0, -99.0, -999.0, -9999.0, -99999.0, -32768.0)
_MISSING_ABOVE = 1e15  # NetCDF and others write 1e20 or 1e36 where a value is missing
_NEURONS_AT_ONCE = 512
_AXES_SAMPLE = 64  # images, fewer if they are large
_PIXELS_SAMPLED = 2**24


def find_oddities(recording: Recording) -> tuple[str, ...]:
    """Return one sentence for each fact to know before a recording is analysed; nothing is changed.

    `dina.read` adds these sentences to ``notes``; a recording made in Python is looked at by this function.

    Constant neurons stay in (they are 0 after standardising and carry nothing), and so do duplicates and outliers: choosing
    neurons is the experimenter's business.
    """
    return (*_odd_neurons(recording), *_odd_trials(recording), *_odd_images(recording), *_odd_pixels(recording))


def _odd_neurons(recording: Recording) -> list[str]:
    responses, n = recording.responses, recording.n_neurons
    constant = responses.min(axis=0) == responses.max(axis=0)
    sentences = []
    if constant.any():
        silent = int((constant & (responses[0] == 0)).sum())
        sentences.append(f"{int(constant.sum())} of {n} neurons never change ({silent} are always 0); they carry nothing.")
    pairs = _copies(responses.T, constant)
    if pairs:
        a, b = pairs[0]
        sentences.append(
            f"{_neurons(len(pairs), 'is an exact copy', 'are exact copies')} of another (first: {b} of {a}), as overlapping regions of"
            " interest are. Their contributions cannot be separated."
        )
    # some at a time: numpy makes a copy in double precision
    deviation = np.concatenate([responses[:, some].std(axis=0, dtype=np.float64) for some in blocks_of(n, _NEURONS_AT_ONCE)])
    typical = float(np.median(deviation[~constant]))
    huge = np.flatnonzero(deviation > _OUTLIER_FACTOR * typical)
    if len(huge):
        sentences.append(
            f"{_neurons(len(huge), 'varies', 'vary')} more than {_OUTLIER_FACTOR:g} times as much as the median neuron (first: neuron"
            f" {huge[0]}): check the units."
        )
    faint = np.flatnonzero(~constant & (deviation < _LEAST_VARIATION * np.abs(responses.mean(axis=0, dtype=np.float64))))
    if len(faint):
        sentences.append(
            f"{_neurons(len(faint), 'varies', 'vary')} by less than 1/10,000 of the mean (first: neuron {faint[0]}); numbers of 32 bits"
            " keep little of that. Subtract the baseline before saving."
        )
    return [*sentences, *_odd_values(responses, recording.response_units or "")]


def _neurons(n: int, one: str, several: str) -> str:
    return f"1 neuron {one}" if n == 1 else f"{n} neurons {several}"


def _odd_values(responses: np.ndarray, units: str) -> list[str]:
    sentences, low = [], float(responses.min())
    # trial by trial: a mask of all would take a quarter of their memory
    counts = [
        (np.count_nonzero(row < 0), np.count_nonzero(row == low), np.count_nonzero(row > _MISSING_ABOVE)) for row in responses
    ]
    n_negative, n_low, n_huge = map(sum, zip(*counts, strict=True))
    if n_negative:
        share = 100 * n_negative / responses.size
        word = f" All are {low:g}: if that stands for missing values, write NaN instead."
        is_word = low in _MISSING_WORDS and n_low == n_negative
        if is_word or "f/f" not in units.lower():  # changes of fluorescence are often negative
            sentences.append(
                f"{share:.1f} % of the responses are negative; deconvolved activity and spike counts are not.{word if is_word else ''}"
            )
    if n_huge:
        sentences.append(
            f"{n_huge} responses are above {_MISSING_ABOVE:g}: if these stand for missing values, write NaN instead."
        )
    return sentences


def _odd_trials(recording: Recording) -> list[str]:
    """Find rows that are no trials: copies, padding, constants."""
    responses, n = recording.responses, recording.n_trials
    flat = (responses.min(axis=1) == responses.max(axis=1)) if recording.n_neurons > 1 else np.zeros(n, dtype=bool)
    sentences = []
    if flat.any():
        silent = int((flat & (responses[:, 0] == 0)).sum())
        sentences.append(
            f"{int(flat.sum())} of {n} trials are the same in every neuron ({silent} are 0; first: trial {int(np.argmax(flat))}):"
            " drop them if they are padding."
        )
    pairs = _copies(responses, flat)
    if pairs:
        first, copy = pairs[0]
        sentences.append(
            f"{len(pairs)} of {n} trials equal another trial in every neuron (first: {copy} and {first}), as averages written once per"
            " trial, padding, and models without noise do. Where repeats are copies, reliability and accuracy say nothing."
        )
    return sentences


def _copies(rows: np.ndarray, skip: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (first, copy) of equal rows, found by their hashes."""
    seen: dict[bytes, int] = {}
    pairs = []
    for start in range(0, len(rows), 256):
        block = np.ascontiguousarray(rows[start : start + 256]) + np.float32(0)  # -0 becomes 0, which it equals
        for number, row in enumerate(block, start):
            if not skip[number]:
                first = seen.setdefault(hashlib.blake2b(row, digest_size=16).digest(), number)
                pairs += [(first, number)] if first != number else []
    return pairs


def _odd_images(recording: Recording) -> list[str]:
    n, sentences = recording.n_stimuli, []
    flat = recording.images.reshape(n, -1)
    blank = np.flatnonzero(flat.min(axis=1) == flat.max(axis=1))
    if len(blank):
        sentences.append(
            f"{len(blank)} of {n} images are blank, one grey level throughout (first: image {blank[0]}, counted from 0)."
        )
    unseen = int((recording.repeats_per_stimulus() == 0).sum())
    if unseen:
        sentences.append(f"{unseen} of {n} images {'were' if unseen > 1 else 'was'} never shown.")
    if unseen and recording.stimulus_id.min() > 0:
        sentences.append(
            "The first image was never shown. If stimulus ids count from 1 and nothing says so, every image was taken for the next"
            " one: subtract 1 where they are stored, or, for arrays, say index_base = 1 under [stimulus_id] of recording.toml."
        )
    return sentences


def _odd_pixels(recording: Recording) -> list[str]:
    images, grey, sentences = recording.images, recording.mid_grey, []
    low, high = float(images.min()), float(images.max())
    if not low < grey < high:
        side = "below" if high <= grey else "above"
        sentences.append(
            f"All pixels lie {side} mid grey ({low:g} to {high:g}; mid_grey is {grey:g}): state mid_grey and contrast_scale if their"
            " range is another."
        )
    most = max(2, min(_AXES_SAMPLE, _PIXELS_SAMPLED // int(np.prod(images.shape[1:]))))
    sample = images[:most].astype(np.float32)
    alike = [_neighbours_alike(sample, axis) for axis in (0, 2, 3)]
    if alike[0] > 0.7 and min(alike[1:]) < 0.3:
        sentences.append(
            f"Images are like the next one (correlation {alike[0]:.2f}) but neighbouring pixels are not ({min(alike[1:]):.2f}):"
            " check the order of the axes of the images."
        )
    return sentences


def _neighbours_alike(images: np.ndarray, axis: int) -> float:
    """Correlation of entries with the next along an axis, about the mean of all."""
    values = np.moveaxis(images, axis, 0) - images.mean()
    power = float((values * values).mean())
    return float((values[1:] * values[:-1]).mean()) / power if len(values) > 1 and power > 0 else 0.0
