"""Which neurons carry the decoding."""
