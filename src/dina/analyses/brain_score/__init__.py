"""Brain score: which layer of the image tower predicts the neurons best."""
