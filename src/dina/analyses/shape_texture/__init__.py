"""Shape and texture: which of them carries the decoding, and which suffices for towers fitted on it alone."""
