"""Semantics: does decoding rest on low-level structure, on the category of images, or on both."""
