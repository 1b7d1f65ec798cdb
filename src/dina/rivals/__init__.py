"""What any claim must beat: linear decoders, inverted encoding models, the reference levels, and the ideal observer."""

from collections.abc import Callable
from dataclasses import dataclass

from dina.checks import DataError
from dina.data.response_transform import Units
from dina.recordings.truth import Truth
from dina.retrieval.decoder import Decoder, Reads
from dina.rivals.canonical_correlation import CanonicalCorrelation
from dina.rivals.cebra import Cebra
from dina.rivals.encoding_identification import EncodingIdentification
from dina.rivals.encoding_spaces import EncodingSpaces
from dina.rivals.generic_decoding import GenericDecoding
from dina.rivals.kay2008 import Kay2008
from dina.rivals.partial_least_squares import PartialLeastSquares
from dina.rivals.reduced_rank import ReducedRankRegression
from dina.rivals.reference_levels import IdealObserver, NearestRepeatRaw, NearestRepeatZscored
from dina.rivals.ridge import Ridge


@dataclass(frozen=True)
class Rival:
    """One row of the table."""

    label: str  # words on the page, at most 28 characters
    build: Callable[
        [int, Truth | None], Decoder
    ]  # from the seed of a run and the truth of a simulation (None for real recordings)
    reads: Reads = "images"  # as `dina.retrieval.decoder.Decoder.reads`; what does not read images is a reference level
    # "raw": responses as recorded, where the decoder knows or states their noise in these units; "chosen": after the transform chosen
    # for the recording, for everything that models noise or regresses; "fourth root": for the observer whose units are fixed
    units: Units = "chosen"
    is_default: bool = False  # whether a study fits it if none are named: what fits into ten minutes


def _build_ideal_observer(truth: Truth | None, name: str) -> IdealObserver:
    if truth is None:
        raise DataError("The ideal observer needs the truth of a simulation; this recording is real. Leave it out.")
    return IdealObserver(truth, name)


# Every rival and reference level by name. What stands here is fitted, named, drawn and tested like all others.
RIVALS: dict[str, Rival] = {
    "ridge": Rival("ridge regression", lambda seed, truth: Ridge(seed), is_default=True),
    "encoding_global": Rival(
        "global encoding model", lambda seed, truth: EncodingIdentification("encoding_global", is_local=False), is_default=True
    ),
    "encoding_local": Rival("local encoding model", lambda seed, truth: EncodingIdentification(), is_default=True),
    "direct_decoding": Rival("direct decoding to Gabors", lambda seed, truth: Ridge(seed, predicts="gabors")),
    "generic_decoding": Rival("generic decoding", lambda seed, truth: GenericDecoding(seed)),
    "reduced_rank": Rival("reduced-rank regression", lambda seed, truth: ReducedRankRegression()),
    "canonical_correlation": Rival("canonical correlation", lambda seed, truth: CanonicalCorrelation(seed)),
    "partial_least_squares": Rival("partial least squares", lambda seed, truth: PartialLeastSquares()),
    "kay2008": Rival("Gabor pyramid (Kay et al.)", lambda seed, truth: Kay2008()),
    "encoding_independent": Rival(
        "encoding, independent noise", lambda seed, truth: EncodingIdentification("encoding_independent", noise="independent")
    ),
    "encoding_shrinkage": Rival(
        "encoding, shrunk covariance", lambda seed, truth: EncodingIdentification("encoding_shrinkage", noise="shrinkage")
    ),
    "encoding_opponent": Rival(
        "encoding, opponent colours", lambda seed, truth: EncodingIdentification("encoding_opponent", front_end="opponent")
    ),
    "encoding_spaces": Rival("encoding, whole image", lambda seed, truth: EncodingSpaces()),
    "encoding_network": Rival(
        "encoding, trained network",
        lambda seed, truth: EncodingIdentification("encoding_network", front_end="network", seed=seed),
    ),
    "cebra": Rival("CEBRA", lambda seed, truth: Cebra(seed)),
    "nearest_repeat_zscored": Rival(
        "nearest repeat (z-scored)", lambda seed, truth: NearestRepeatZscored(), reads="templates", units="raw", is_default=True
    ),
    "nearest_repeat_raw": Rival(
        "nearest repeat (raw)", lambda seed, truth: NearestRepeatRaw(), reads="templates", units="raw", is_default=True
    ),
    "ideal_observer": Rival(
        "ideal observer",
        lambda seed, truth: _build_ideal_observer(truth, "ideal_observer"),
        reads="truth",
        units="raw",
        is_default=True,
    ),
    "ideal_observer_transformed": Rival(
        "ideal observer, transformed",
        lambda seed, truth: _build_ideal_observer(truth, "ideal_observer_transformed"),
        reads="truth",
        units="fourth root",
        is_default=True,
    ),
}
