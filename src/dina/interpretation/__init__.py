"""What in the image, and which neurons, carry a decoding; `ANALYSES` lists every analysis by name."""

from dina.interpretation.analysis import Analysis, AnalysisResult
from dina.interpretation.decoded import Decoded, decode

ANALYSES: dict[str, Analysis] = {}
"""Every analysis by name, in the order of the report."""

__all__ = ["ANALYSES", "Analysis", "AnalysisResult", "Decoded", "decode"]
