"""Occlusion: where in the image does the decoding come from."""
