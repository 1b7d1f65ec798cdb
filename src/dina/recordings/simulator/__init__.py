"""A simulated session of mouse V1 whose every truth is known; `simulate` makes it."""

from dina.recordings.simulator.session import simulate
from dina.recordings.simulator.session_settings import NAMED_SESSIONS, SyntheticSettings

__all__ = ["NAMED_SESSIONS", "SyntheticSettings", "simulate"]
