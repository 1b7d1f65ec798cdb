"""Decoding recipes of the literature as presets; each says what it takes from its source and what it leaves out."""
