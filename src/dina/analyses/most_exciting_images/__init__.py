"""Most exciting images: which image would excite a neuron most, and do two models agree on it."""
