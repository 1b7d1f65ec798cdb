"""Spatial frequency: which spatial frequencies carry the decoding, and which suffice for towers fitted on them alone."""
