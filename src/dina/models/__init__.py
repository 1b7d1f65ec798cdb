"""What drives each neuron: image to response, and the noise that neurons share."""
