"""Objectives: how well towers decode that are trained for other objectives."""
