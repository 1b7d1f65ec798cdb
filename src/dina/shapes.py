"""The vocabulary of array shapes: which axes an image, a response and a score matrix have.

Arrays are numpy at every public door; torch is used inside towers, alignment and heavy linear algebra.
This file imports no torch, so that reading a recording stays quick.
"""

import numpy as np
from jaxtyping import Float, Float32, Int, Num

# Pixels as stored (uint8 or float32); one channel for grey, three for colour.
Images = Num[np.ndarray, "stimulus channel height width"]

# Pixels in units of contrast: (pixel − mid grey) / scale, dimensionless, 0 = grey screen.
ContrastImages = Float32[np.ndarray, "stimulus channel height width"]

# One value per neuron and trial.
Responses = Float32[np.ndarray, "trial neuron"]

# One value per neuron and stimulus, averaged over the trials of that stimulus.
StimulusResponses = Float32[np.ndarray, "stimulus neuron"]

# For every trial the position of its stimulus along the stimulus axis, 0-based.
StimulusIndex = Int[np.ndarray, "trial"]

# How well each gallery item fits each query; larger is better; dimensionless.
Scores = Float[np.ndarray, "query gallery"]
