"""The preprocessing of the original analysis: excitatory neurons, in units of their spontaneous activity."""

from dataclasses import replace

import numpy as np
from scipy.sparse.linalg import svds

from dina.checks import DataError, check_count
from dina.randomness import generator_for
from dina.recordings.recording import Recording

N_COMPONENTS = 32
_FLOOR = 1e-6  # added to each standard deviation, as the authors do


def preprocess_like_original(recording: Recording, n_components: int = N_COMPONENTS) -> Recording:
    r"""Drop red cells, express responses in spontaneous standard deviations, remove spontaneous components.

    Activity without stimulus spans dimensions (running, arousal) that go on during stimuli; without them remains what stimuli
    drive. No image and no response to one is used, so that nothing can leak from test to training.

    Parameters
    ----------
    recording
        With spontaneous activity.
    n_components
        How many leading principal components of spontaneous activity to remove; 0 for none.

    Returns
    -------
    recording
        Responses and spontaneous activity are dimensionless. The truth of a simulation, which is in the original units, is left
        out, and the notes say so.

    Raises
    ------
    DataError
        If there is no spontaneous activity (the authors then use the responses themselves, test trials included; we do not), or
        too little of it for the components.

    Notes
    -----
    With mean :math:`\mu` and standard deviation :math:`\sigma` (over time points, not corrected for their number) of spontaneous
    activity and :math:`V` its first right singular vectors after the same standardisation,
    :math:`z = (r - \mu) / (\sigma + 10^{-6})` and the result is :math:`z - z V V^\top`. The authors then centre each neuron over
    all trials; we leave that to standardisation on training trials.

    References
    ----------
    Stringer et al. (2019), Nature 571:361. https://doi.org/10.1038/s41586-019-1346-5
    """
    silence = recording.spontaneous
    if silence is None:
        raise DataError(
            f"The original preprocessing needs spontaneous activity; {recording.name} has none. Add it or do without."
        )
    notes = list(recording.notes)
    if recording.truth is not None:
        recording = replace(recording, truth=None)
        notes.append("The truth of the simulation was left out, since preprocessing changes the units.")
    if recording.is_red is not None and recording.is_red.any():
        keep = ~recording.is_red
        if not keep.any():
            raise DataError(f"All {len(keep)} neurons of {recording.name} are marked red; none would be left. Correct is_red.")
        notes.append(f"{int((~keep).sum())} red (GAD+) neurons were dropped.")
        recording, silence = recording.select_neurons(keep, notes[-1]), silence[:, keep]
    smaller = min(silence.shape)
    check_count("n_components", n_components, 0, smaller - 1, "one less than the number of spontaneous time points and neurons,")
    mean = silence.mean(axis=0, dtype=np.float64)
    silent = int((silence.min(axis=0) == silence.max(axis=0)).sum())
    if silent:
        notes.append(f"{silent} neurons never changed during spontaneous activity; a floor of {_FLOOR:g} makes them huge.")
    scale = 1.0 / (silence.std(axis=0, dtype=np.float64) + _FLOOR)
    spontaneous = _standardised(silence, mean, scale)
    responses = _standardised(recording.responses, mean, scale)
    notes.append("Responses are in units of spontaneous standard deviation.")
    if n_components:
        components = _components(spontaneous, n_components)
        responses -= (responses @ components) @ components.T
        spontaneous -= (spontaneous @ components) @ components.T
        notes.append(f"The projection on {n_components} principal components of spontaneous activity was subtracted.")
    return replace(recording, responses=responses, spontaneous=spontaneous, response_units=None, notes=tuple(notes))


def _standardised(activity: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return (activity - mean.astype(np.float32)) * scale.astype(np.float32)


def _components(spontaneous: np.ndarray, n_components: int) -> np.ndarray:
    """Leading right singular vectors, (n_neurons, n_components), from a start that is the same each time."""
    start = generator_for(0, "spontaneous components").standard_normal(min(spontaneous.shape))
    _, _, vectors = svds(spontaneous.astype(np.float64), k=n_components, v0=start)
    return np.ascontiguousarray(vectors.T, dtype=np.float32)
