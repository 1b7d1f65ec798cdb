"""Towers: how each side, images and population responses, becomes feature maps of one shape."""
