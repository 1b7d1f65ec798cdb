"""The questions asked of every recording when it is made."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dina.recordings.recording import Recording


def validate_recording(recording: "Recording") -> None:
    """Refuse a recording that later steps could not use."""
