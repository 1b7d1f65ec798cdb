"""Pathway masking: what is lost when parts of the image tower are masked."""
