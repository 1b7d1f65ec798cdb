"""Attention received: what neurons to which others attend do for the decoding."""
