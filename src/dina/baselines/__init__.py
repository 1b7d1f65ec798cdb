"""What any claim must beat: the linear decoder, the reference levels, and the ideal observer of a simulation."""

from collections.abc import Callable

from dina.baselines.encoding_identification import EncodingIdentification
from dina.baselines.ideal_observer import IdealObserver
from dina.baselines.nearest_repeat import NearestRepeatRaw, NearestRepeatZscored
from dina.baselines.ridge import Ridge
from dina.checks import DataError
from dina.recordings.truth import Truth

Baseline = Ridge | EncodingIdentification | NearestRepeatRaw | NearestRepeatZscored | IdealObserver


def _build_ideal_observer(seed: int, truth: Truth | None) -> IdealObserver:
    """Build the ideal observer, or say why there is none."""
    if truth is None:
        raise DataError("The ideal observer needs the truth of a simulation; this recording is real. Leave it out.")
    return IdealObserver(truth)


BASELINES: dict[str, Callable[[int, Truth | None], Baseline]] = {
    "ridge": lambda seed, truth: Ridge(seed),
    "encoding_global": lambda seed, truth: EncodingIdentification(is_local=False),
    "encoding_local": lambda seed, truth: EncodingIdentification(is_local=True),
    "nearest_repeat_zscored": lambda seed, truth: NearestRepeatZscored(),
    "nearest_repeat_raw": lambda seed, truth: NearestRepeatRaw(),
    "ideal_observer": _build_ideal_observer,
}
"""By name: how to build a decoder from the seed of a run and the truth of a simulation (None for real recordings)."""
