"""Objectives: what do towers trained for other objectives decode."""
