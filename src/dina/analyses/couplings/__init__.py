"""Couplings: which neurons vary together, and why."""
