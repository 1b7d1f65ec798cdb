"""The contribution of each pathway of the image tower to decoding: masked, and fitted alone."""
