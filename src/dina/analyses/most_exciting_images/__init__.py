"""Most exciting images: which image excites a neuron most, and do two models agree on it."""
