"""Stimulus conditions: does decoding depend on the set of images shown."""
