"""What in the image carries the decoding."""
