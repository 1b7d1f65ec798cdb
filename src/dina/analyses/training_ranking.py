"""Contributions in one number per neuron: to test images for tables, and to training images to rank neurons by."""

import numpy as np
from jaxtyping import Float

from dina.analyses.asked import ask_test, ask_training
from dina.analyses.decoded import Decoded
from dina.analyses.neuron_readout import readout_of, treatments_of


def mean_contributions(decoded: Decoded) -> Float[np.ndarray, "neuron"]:
    """Return what each neuron contributes to decoding test images, shape ``(n_neurons,)``; to first order if not exactly."""
    asked = ask_test(decoded)
    treatment = treatments_of(decoded.towers)[0]
    lost = readout_of(decoded.towers, asked.images).margins_lost(asked.responses, asked.target, treatment)
    mean: np.ndarray = asked.by_image(lost).mean(0)
    return mean


def rank_on_training(decoded: Decoded, n_images: int) -> Float[np.ndarray, "neuron"]:
    """Return what each neuron contributes to decoding training images, shape ``(n_neurons,)``; test images are not read.

    The towers were fitted on these images, so that all contributions are too large; their order is what is used.
    """
    asked = ask_training(decoded, n_images)
    treatment = treatments_of(decoded.towers)[0]
    lost = readout_of(decoded.towers, asked.images).margins_lost(asked.responses, asked.target, treatment)
    mean: np.ndarray = asked.by_image(lost).mean(0)
    return mean
