"""Choose between two ways to describe receptive fields by what they predict of images that neither has seen."""

import numpy as np
from jaxtyping import Float32

from dina.models.channel_fields import fit_channel_fields
from dina.models.field_profiles import FieldProfiles
from dina.models.gabor_fields import fit_gabor_fields
from dina.shapes import ContrastImages, StimulusResponses


def fit_field_profiles(
    images: ContrastImages,
    responses: StimulusResponses,
    other_images: Float32[np.ndarray, "other channel height width"],
    other_responses: Float32[np.ndarray, "other neuron"],
) -> FieldProfiles:
    """Describe receptive fields as sums of a few Gabors, or as weights on Gabor channels, whichever predicts better.

    Sums of a few Gabors have the finer places, where neurons are such sums and there are images enough to find them. Both
    are fitted to all neurons, and one is taken for the whole recording: that with the larger mean ``fit_correlation``. One
    choice for all neurons hardly favours the correlation that it is made by.

    Parameters
    ----------
    images, responses
        Training images in units of contrast, and the average response to each in any unit.
    other_images, other_responses
        Images that were not used for the fit; they choose, and judge.

    Returns
    -------
    profiles
        ``n_gabors`` is NaN where channels were taken.

    Raises
    ------
    DataError
        If the images are too small for Gabors.
    """
    few, weights = (fit(images, responses, other_images, other_responses) for fit in (fit_gabor_fields, fit_channel_fields))
    return few if _mean(few) > _mean(weights) else weights


def _mean(profiles: FieldProfiles) -> float:
    known = profiles.fit_correlation[np.isfinite(profiles.fit_correlation)]
    return float(known.mean()) if len(known) else 0.0
