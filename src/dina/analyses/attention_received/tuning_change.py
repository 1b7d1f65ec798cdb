"""Tuning of each neuron before and after attention: what the tower reads of it, beside what it reads of other neurons."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int

from dina.analyses.decoded import Decoded
from dina.analyses.neuron_strength import NeuronStrength
from dina.analyses.paid_attention import attention_tower
from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.models.receptive_fields import WELL_FITTED, FieldProfiles, fit_field_profiles
from dina.models.towers.neural.paper_neuron_attention import NeuronAttention
from dina.randomness import generator_for
from dina.statistics.correlation import correlate_columns
from dina.statistics.finding import Finding
from dina.statistics.intervals import jackknife_interval
from dina.statistics.rank_association import rank_correlation
from dina.statistics.repeats import average_halves
from dina.statistics.resampling import central_range

OTHERS = "read-outs of other neurons"
MATCHED = "read-outs of other neurons, matched in signal-to-noise ratio"
FEW_FIELDS = "Too few neurons have a field that predicts responses to other images both before and after attention."
NOT_FITTED = "Receptive fields were not fitted (setting are_fields_fitted)."
NO_RATIOS = "Signal-to-noise ratios are not known."
FEWEST_IMAGES, FEWEST_NEURONS = 6, 20
MOST_GROUPS = 50  # of images that the jackknife leaves out, one after the other
MOST_RESAMPLES = 500
RESPONSES_AT_ONCE = 512
STRATUM = 10  # neurons of about the same signal-to-noise ratio

Partner = Int[np.ndarray, "neuron"]


@dataclass(frozen=True, eq=False)
class TuningChange:
    """What attention leaves of the tuning of each neuron; NaN where unknown."""

    signal_correlation: Float[np.ndarray, "neuron"]  # size, of the response and of what is read back, different trials
    orientation_deg: Float[np.ndarray, "2 neuron"]  # of preferred bars, before and after attention
    frequency: Float[np.ndarray, "2 neuron"]  # preferred, cycles per pixel
    fit_correlation: Float[np.ndarray, "2 neuron"]
    statistics: tuple[Finding, ...]


def compare_tuning(
    decoded: Decoded, attention: Float[np.ndarray, "neuron"], strength: NeuronStrength, n_draws: int, *, are_fields_fitted: bool
) -> TuningChange:
    """Compare what attention reads back for each neuron with the response of this neuron, and with that of others.

    The sign of what is read back is arbitrary, so correlations count by their size. Signal correlations are those of test images,
    from different trials for response and read-out; fields are fitted to training images and judged on validation images.
    """
    tower, ratio = attention_tower(decoded), strength.signal_to_noise
    generator = generator_for(decoded.seed, "other neurons")
    correlation, found = _signal_correlation(decoded, tower, _Partners(ratio, n_draws, generator))
    found.append(rank_correlation("attention_with_signal_correlation", attention, correlation, found[0].reason))
    nothing = FieldProfiles.unknown(tower.n_neurons)
    before, after, reason = _fit_fields(decoded, tower) if are_fields_fitted else (nothing, nothing, NOT_FITTED)
    both = (before.fit_correlation > WELL_FITTED) & (after.fit_correlation > WELL_FITTED)
    kept = np.flatnonzero(both)
    partners = _Partners(ratio[kept], n_draws, generator)
    resamples = generator.integers(len(kept), size=(min(decoded.n_resamples, MOST_RESAMPLES), len(kept)))
    for name, units, difference in (
        ("orientation_change", "degree", _apart(before.orientation_deg[kept], after.orientation_deg[kept])),
        ("frequency_change", "octave", _octaves(before.frequency[kept], after.frequency[kept])),
    ):
        if len(kept) < FEWEST_NEURONS:
            found += partners.unknown(name, units, len(kept), reason or FEW_FIELDS)
            continue
        each = difference(np.arange(len(kept)))
        ends = central_range(np.median(each[resamples], axis=1), 0.0)
        found += partners.describe(name, units, len(kept), _median_of(difference), ends)
    pairs = {name: np.stack([getattr(one, name) for one in (before, after)])
             for name in ("orientation_deg", "frequency", "fit_correlation")}  # fmt: skip
    return TuningChange(correlation, **pairs, statistics=tuple(found))


@torch.no_grad()
def read_back(tower: NeuronAttention, responses: Float[np.ndarray, "trial neuron"]) -> Float[np.ndarray, "trial neuron"]:
    """Return what the tower reads back for each neuron after attention, for standardised responses; dimensionless."""
    chunks = torch.split(torch.from_numpy(np.asarray(responses, np.float32)), RESPONSES_AT_ONCE)
    return np.concatenate([tower.read_back(chunk.to(tower.lowest.device)).float().cpu().numpy() for chunk in chunks])


class _Partners:
    """Other neurons for each neuron: any, or with about the same signal-to-noise ratio; never the neuron itself."""

    def __init__(self, ratio: Float[np.ndarray, "neuron"], n_draws: int, generator: np.random.Generator) -> None:
        self.ranked = np.argsort(np.nan_to_num(ratio), kind="stable")
        self.is_known = bool(np.isfinite(ratio).any())
        self.n_strata = max(1, len(ratio) // STRATUM)
        self.n_draws, self.generator = n_draws, generator

    def draw(self, *, is_matched: bool) -> Partner:
        """Assign another neuron to each neuron."""
        n = len(self.ranked)
        partner = np.empty(n, dtype=np.int64)
        for stratum in np.array_split(self.ranked, self.n_strata if is_matched else 1):
            order = self.generator.permutation(stratum)
            partner[order] = np.roll(order, 1)
        return partner

    def describe(
        self, name: str, units: str, n: int, statistic: Callable[[Partner], float], interval: tuple[float, float]
    ) -> list[Finding]:
        """Return the statistic of the neurons themselves beside that of others, and minus that of matched others.

        Each of m matched neurons has m - 1 others, so that draws of these vary less, and their mean more, than if there were many:
        the null is wider by the square root of m / (m - 2).
        """
        value, title = statistic(np.arange(len(self.ranked))), f"{name}_minus_matched"
        others = np.array([statistic(self.draw(is_matched=False)) for _ in range(self.n_draws)])
        found = [Finding.from_draws(name, value, units, n, None, others, OTHERS, interval=interval)]
        if not self.is_known:
            return [*found, Finding(title, np.nan, units, n, reason=NO_RATIOS)]
        matched = np.array([statistic(self.draw(is_matched=True)) for _ in range(self.n_draws)])
        middle = float(matched.mean())
        ends = interval[0] - middle, interval[1] - middle
        n_alike = max(len(self.ranked) / self.n_strata, 3.0)
        null = (matched - middle) * np.sqrt(n_alike / (n_alike - 2))
        return [*found, Finding.from_draws(title, value - middle, units, n, None, null, MATCHED, interval=ends)]

    def unknown(self, name: str, units: str, n: int, reason: str) -> list[Finding]:
        """Say why a statistic is not known."""
        return [Finding(title, np.nan, units, n, reason=reason) for title in (name, f"{name}_minus_matched")]


def _signal_correlation(
    decoded: Decoded, tower: NeuronAttention, partners: _Partners
) -> tuple[Float[np.ndarray, "neuron"], list[Finding]]:
    """Return the signal correlation of each neuron before and after attention, and the mean over neurons as findings."""
    name, test = "signal_correlation", decoded.test
    single = test.select_trials(test.n_presentations == 1)
    n_neurons, reason = test.n_neurons, "Test images are too few, or were shown once: response and read-out would share noise."
    try:
        halves = [average_halves(rows, single.stimulus_index) for rows in (single.responses, read_back(tower, single.responses))]
    except (DataError, ValueError):
        return np.full(n_neurons, np.nan), partners.unknown(name, "1", 0, reason)
    (first, second, images), (first_read, second_read, _) = halves
    n_images = len(images)
    if n_images < FEWEST_IMAGES:
        return np.full(n_neurons, np.nan), partners.unknown(name, "1", n_images, reason)

    def correlate(partner: Partner, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        crossed = ((first, second_read), (second, first_read))
        return np.abs(sum(correlate_columns(one[rows], other[rows][:, partner]) for one, other in crossed) / 2)

    itself = np.arange(n_neurons)
    own = correlate(itself)
    groups = np.array_split(partners.generator.permutation(n_images), min(n_images, MOST_GROUPS))
    without = np.array([_mean(correlate(itself, np.delete(np.arange(n_images), group))) for group in groups])
    ends = jackknife_interval(_mean(own), without)
    if not np.isfinite(own).any():
        return own, partners.unknown(name, "1", n_images, "No neuron varies after attention.")
    return own, partners.describe(name, "1", n_images, lambda one: _mean(correlate(one)), ends)


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _fit_fields(decoded: Decoded, tower: NeuronAttention) -> tuple[FieldProfiles, FieldProfiles, str]:
    """Fit receptive fields to responses and to what is read back; the last is why there are none, "" where there are."""
    parts = decoded.train, decoded.validation
    read = [replace(part, responses=read_back(tower, part.responses)).averaged() for part in parts]
    middle, size = read[0].mean(axis=0), read[0].std(axis=0)
    read = [((rows - middle) / np.where(size > 0, size, 1.0)).astype(np.float32) for rows in read]
    try:
        before, after = (_fit(*parts, *rows) for rows in ([part.averaged() for part in parts], read))
    except DataError as error:
        nothing = FieldProfiles.unknown(tower.n_neurons)
        return nothing, nothing, str(error)
    return before, after, ""


def _fit(train: Pairs, validation: Pairs, responses: np.ndarray, judged: np.ndarray) -> FieldProfiles:
    return fit_field_profiles(train.images, responses, validation.images, judged)


def _median_of(difference: Callable[[Partner], np.ndarray]) -> Callable[[Partner], float]:
    return lambda partner: float(np.median(difference(partner)))


def _apart(before: np.ndarray, after: np.ndarray) -> Callable[[Partner], np.ndarray]:
    """Return differences of preferred orientation, in [0, 90] degrees, with what is read back for some neurons."""
    return lambda partner: np.abs((before - after[partner] + 90) % 180 - 90)


def _octaves(before: np.ndarray, after: np.ndarray) -> Callable[[Partner], np.ndarray]:
    """Return differences of preferred frequency, in octaves."""
    return lambda partner: np.abs(np.log2(before / after[partner]))
