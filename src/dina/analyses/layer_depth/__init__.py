"""Which layers of a trained network predict the neurons beyond Gabor channels."""
