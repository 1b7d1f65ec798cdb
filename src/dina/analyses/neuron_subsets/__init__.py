"""Subsets of neurons: how few does decoding need, which are they, and do towers fitted on them alone do as well."""
