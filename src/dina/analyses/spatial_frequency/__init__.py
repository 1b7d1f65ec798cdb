"""Spatial frequency: which frequencies carry the decoding, which suffice for a fit, and whether the size of the maps limits them."""
