"""Does decoding depend on the stimulus set."""
