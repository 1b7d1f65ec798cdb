"""Contributions: what does decoding lose without each neuron."""
