"""What was measured: recordings in any format, read into one validated object."""

from dina.recordings.formats import FORMATS
from dina.recordings.oddities import find_oddities
from dina.recordings.reading import read
from dina.recordings.recording import Recording

__all__ = ["FORMATS", "Recording", "find_oddities", "read"]
