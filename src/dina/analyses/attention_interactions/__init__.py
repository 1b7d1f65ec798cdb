"""Attention interactions: how do neurons gate and read one another."""
