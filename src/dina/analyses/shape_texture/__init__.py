"""Shape and texture: which of the two carries the decoding."""
