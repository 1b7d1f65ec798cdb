"""Sparse subsets: how few neurons does decoding need."""
