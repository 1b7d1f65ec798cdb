"""What was measured: recordings in any format, read into one validated object."""

from dina.recordings.reading import RECORDINGS, read
from dina.recordings.recording import Recording

__all__ = ["RECORDINGS", "Recording", "read"]
