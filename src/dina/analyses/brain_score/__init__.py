"""Which layer of the image tower predicts the neurons best."""
