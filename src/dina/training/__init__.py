"""Alignment: how the two towers meet, are trained together, and are kept."""
