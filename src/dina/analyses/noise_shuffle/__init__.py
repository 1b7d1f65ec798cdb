"""Noise shuffle: does decoding gain or lose by noise correlations."""
