"""What any claim must beat: linear decoders, inverted encoding models, the reference levels, and the ideal observer."""

from collections.abc import Callable

from dina.checks import DataError
from dina.recordings.truth import Truth
from dina.rivals.canonical_correlation import CanonicalCorrelation
from dina.rivals.cebra import Cebra
from dina.rivals.encoding_identification import EncodingIdentification
from dina.rivals.generic_decoding import GenericDecoding
from dina.rivals.ideal_observer import IdealObserver
from dina.rivals.kay2008 import Kay2008
from dina.rivals.nearest_repeat import NearestRepeatRaw, NearestRepeatZscored
from dina.rivals.partial_least_squares import PartialLeastSquares
from dina.rivals.reduced_rank import ReducedRankRegression
from dina.rivals.ridge import Ridge

Baseline = (
    Ridge
    | ReducedRankRegression
    | CanonicalCorrelation
    | PartialLeastSquares
    | EncodingIdentification
    | Cebra
    | GenericDecoding
    | Kay2008
    | NearestRepeatRaw
    | NearestRepeatZscored
    | IdealObserver
)


def _build_ideal_observer(seed: int, truth: Truth | None) -> IdealObserver:
    """Build the ideal observer, or say why there is none."""
    if truth is None:
        raise DataError("The ideal observer needs the truth of a simulation; this recording is real. Leave it out.")
    return IdealObserver(truth)


BASELINES: dict[str, Callable[[int, Truth | None], Baseline]] = {
    "ridge": lambda seed, truth: Ridge(seed),
    "direct_decoding": lambda seed, truth: Ridge(seed, predicts="gabors"),
    "reduced_rank": lambda seed, truth: ReducedRankRegression(),
    "canonical_correlation": lambda seed, truth: CanonicalCorrelation(seed),
    "partial_least_squares": lambda seed, truth: PartialLeastSquares(),
    "encoding_global": lambda seed, truth: EncodingIdentification(is_local=False),
    "encoding_local": lambda seed, truth: EncodingIdentification(is_local=True),
    "encoding_independent": lambda seed, truth: EncodingIdentification(is_local=True, noise="independent"),
    "encoding_shrinkage": lambda seed, truth: EncodingIdentification(is_local=True, noise="shrinkage"),
    "encoding_opponent": lambda seed, truth: EncodingIdentification(is_local=True, front_end="opponent"),
    "encoding_network": lambda seed, truth: EncodingIdentification(is_local=True, front_end="network", seed=seed),
    "cebra": lambda seed, truth: Cebra(seed),
    "generic_decoding": lambda seed, truth: GenericDecoding(seed),
    "kay2008": lambda seed, truth: Kay2008(),
    "nearest_repeat_zscored": lambda seed, truth: NearestRepeatZscored(),
    "nearest_repeat_raw": lambda seed, truth: NearestRepeatRaw(),
    "ideal_observer": _build_ideal_observer,
}
"""By name: how to build a decoder from the seed of a run and the truth of a simulation (None for real recordings)."""
