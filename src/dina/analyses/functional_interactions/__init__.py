"""Functional interactions: do pairs of neurons carry more, or less, than the sum of what each carries."""
