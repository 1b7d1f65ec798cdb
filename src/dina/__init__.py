"""Read images out of neural populations with two aligned towers, and find out what carries them."""

__version__ = "0.1.0"
