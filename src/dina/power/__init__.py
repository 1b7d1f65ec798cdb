"""How much more to record: accuracy with more images, neurons or repeats, foretold from parts of a recording."""

from dina.power.forecast import Forecast, Pilot, foretell, size_needed
from dina.power.held_out import PowerSettings, measure_pilot

__all__ = ["Forecast", "Pilot", "PowerSettings", "foretell", "measure_pilot", "size_needed"]
