"""The version of the package, in the one place that every part may read."""

__version__ = "0.2.0"
