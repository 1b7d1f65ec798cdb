"""Spatial frequency: which spatial frequencies carry the decoding."""
