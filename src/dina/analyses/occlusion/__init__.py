"""Where in the image does the decoding come from."""
