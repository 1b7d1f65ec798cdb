"""Conditions: whether decoding depends on the stimulus set, within natural, white, 8D, 4D and small images and between them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int

from dina.analyses.altered_gallery import EncodedQueries, first_places
from dina.analyses.analysis import TabledResult
from dina.analyses.decoded import Decoded
from dina.analyses.paired_resampling import NULL, WIDER, PairedResampling, curve_variables
from dina.checks import DataError
from dina.data.pairs import Pairs, learn_standardiser, make_pairs, make_task
from dina.data.response_transform import IDENTITY
from dina.data.splits import group_near_identical
from dina.data.standardise import Standardiser
from dina.models.transform_choice import choose_transform
from dina.progress import track
from dina.randomness import generator_for
from dina.recordings.recording import Recording
from dina.rivals.reference_levels import IdealObserver
from dina.short_words import brief
from dina.statistics.finding import Finding
from dina.statistics.reliability import signal_variance_fraction
from dina.statistics.repeats import count_within_group
from dina.training.aligned_towers import AlignedTowers

NEURALLY_DERIVED = ("8D", "4D")
CAVEAT = "{} images are projections on patterns found from neural responses, so part of what is decoded was put in by neurons"
OTHER_NEURONS = (
    "The recordings do not say that their neurons are the same (neuron_position_um, known and equal in both), and towers cannot"
    " decode other neurons."
)
FEWEST_IMAGES = 10
# Towers, and the means and deviations that standardise their responses.
Fitted = tuple[AlignedTowers, Standardiser]


@dataclass(frozen=True, eq=False)
class MatchedConditions:
    """Recordings made equal in all but the pixels of their images, as far as that can be done."""

    recordings: tuple[Recording, ...]
    stimulus_id: Int[np.ndarray, "stimulus"]  # shown in all of them
    fraction_before: Float[np.ndarray, "condition"]  # of signal in the variance of training trials, mean over neurons
    fraction_after: Float[np.ndarray, "condition"]  # NaN, like the one before, where no image was shown twice: no noise was added
    has_same_neurons: Bool[np.ndarray, "condition"]  # known to be those of the first recording, in the same order


@dataclass(frozen=True, eq=False)
class ConditionsResult(TabledResult):
    """The probability of each candidate to come first, within and between conditions, on the same test identities."""

    __repr__ = brief

    conditions: tuple[str, ...]
    within: Float[np.ndarray, "condition image candidate"]  # towers fitted within each condition
    transferred: Float[np.ndarray, "condition image candidate"]  # fitted on the first; NaN where neurons may be others
    ideal: Float[np.ndarray, "condition image candidate"] | None  # ideal observer of simulated recordings
    matched: MatchedConditions
    n_train: int
    n_dropped: int  # test identities that look like training images under some condition
    resampling: PairedResampling

    def to_dataset(self) -> xr.Dataset:
        """Return accuracies with intervals and nulls over ``condition``, and the signal variance before and after matching."""
        tables = {"within": (self.within, "top-1 accuracy, trained and tested within")}
        tables["transferred"] = (self.transferred, "top-1 accuracy, trained on the first condition")
        if self.ideal is not None:
            tables["ideal"] = (self.ideal, "top-1 accuracy of the ideal observer")
        variables = {
            "signal_before": ("condition", self.matched.fraction_before, {"units": "1"}),
            "signal_after": ("condition", self.matched.fraction_after, {"units": "1"}),
            "has_same_neurons": ("condition", self.matched.has_same_neurons.astype(np.uint8), {"units": "1"}),
        }
        for name, (table, words) in tables.items():
            variables |= curve_variables(name, "condition", self.resampling.over_tables(table), words)
        derived = [name for name in self.conditions if name in NEURALLY_DERIVED]
        caveat, first = CAVEAT.format(" and ".join(derived)) if derived else "", self.matched.recordings[0]
        counts = {"n_images": self.within.shape[1], "n_train": self.n_train, "n_dropped": self.n_dropped}
        counts |= {"n_neurons": first.n_neurons, "n_trials": first.n_trials}
        return xr.Dataset(variables, {"condition": list(self.conditions)}, {**counts, "caveat": caveat, "null": NULL})

    def findings(self) -> tuple[Finding, ...]:
        """Return accuracies within and between conditions and their paired differences; see `docs/image-side.md`."""
        over, n, first = self.resampling.over_tables, self.within.shape[1], self.conditions[0]
        within, moved, differences = self.within, self.transferred, self.resampling.over_difference_tables
        rows = {"within": over(self.within), "moved": over(self.transferred)}
        if self.ideal is not None:
            rows["ideal"] = over(self.ideal)
        found = []
        for place, name in enumerate(self.conditions):
            found.append(Finding.from_rows(f"top1_within_{name}", rows["within"][:, place], "1", n, NULL))
            if self.ideal is not None:
                found.append(Finding.from_rows(f"ideal_top1_{name}", rows["ideal"][:, place], "1", n, NULL))
            if place == 0:
                continue
            loss, change = differences(np.stack([within[place] - moved[place], within[place] - within[0]])).T
            moves = (f"top1_{first}_to_{name}", rows["moved"][:, place], NULL), (f"transfer_loss_{name}", loss, WIDER)
            for finding, values, null in moves:
                if self.matched.has_same_neurons[place]:
                    found.append(Finding.from_rows(finding, values, "1", n, null))
                else:
                    found.append(Finding(finding, math.nan, "1", n, reason=OTHER_NEURONS))
            found.append(Finding.from_rows(f"within_minus_{first}_{name}", change, "1", n, WIDER))
        return tuple(found)


def analyse_conditions(decoded: Decoded) -> ConditionsResult:
    """Fit towers within each stimulus condition, and apply those of the first condition to the others whose neurons are the same.

    All recordings are first made equal, see `match_conditions`. The split is that of the decoding, by image identity, hence the
    same for all conditions; a test identity whose image is near-identical to a training or validation image under any condition
    is left out of all of them. It takes one fit for each condition.

    Raises
    ------
    DataError
        If there are no further recordings, or they cannot be compared, or too few test identities are left.
    """
    if not decoded.others:
        raise DataError(
            "Conditions can be compared only with recordings under other conditions; none were given."
            " Give them together with the natural one."
        )
    matched = match_conditions((decoded.recording, *decoded.others), decoded.train.stimulus_id, decoded.seed)
    train, validation, test = (
        np.intersect1d(part.stimulus_id, matched.stimulus_id) for part in (decoded.train, decoded.validation, decoded.test)
    )
    # the split keeps near-identical images of the first condition together
    groups = [group_near_identical(recording.images) for recording in matched.recordings[1:]]
    is_similar = np.any([np.isin(group[test], group[np.concatenate([train, validation])]) for group in groups], axis=0)
    test = test[~is_similar]
    if len(test) < FEWEST_IMAGES:
        raise DataError(
            f"Conditions are compared on test identities that all of them show, at least {FEWEST_IMAGES}; there are {len(test)},"
            f" and {is_similar.sum()} more that look like training images under some condition. Keep more images for testing."
        )
    fit_first = cache(partial(_fit, decoded, matched.recordings[0], train, validation))
    tables = []
    for place, recording in enumerate(track(matched.recordings, "Fitting within conditions")):
        fit_within = fit_first if place == 0 else partial(_fit, decoded, recording, train, validation)
        taken = fit_first if matched.has_same_neurons[place] else None
        tables.append(decoded.parts.get(str(recording.condition), partial(_decode_condition, recording, test, fit_within, taken)))
    conditions = tuple(str(recording.condition) for recording in matched.recordings)
    within, transferred = (np.stack([table[name] for table in tables]) for name in ("within", "transferred"))
    ideal = np.stack([table["ideal"] for table in tables]) if all("ideal" in table for table in tables) else None
    resampling = PairedResampling.draw(len(test), decoded.n_resamples, decoded.seed)
    n_dropped = int(is_similar.sum())
    return ConditionsResult(conditions, within, transferred, ideal, matched, len(train), n_dropped, resampling)


def match_conditions(recordings: Sequence[Recording], train: Int[np.ndarray, "n_train"], seed: int) -> MatchedConditions:
    r"""Make recordings equal in number of neurons, identities, repeats and signal variance.

    Neurons count as the same only where their positions are known and agree. If one recording has other neurons than the
    first, as many neurons are drawn at random from every recording as the smallest has; recordings of the same neurons keep
    the same ones. Identities that one of the recordings lacks are dropped from all. Of every identity the first trials are
    kept, as many as the recording with the fewest has. Then Gaussian noise, private to each neuron, is added to all
    recordings but the poorest: with a mean signal variance fraction :math:`f` of a recording, estimated on the trials of ``train``
    only, and :math:`f_0` of the poorest, a neuron of variance :math:`V` gets noise of variance :math:`V (f / f_0 - 1)`, which
    multiplies every neuron's fraction by :math:`f_0 / f`.

    Raises
    ------
    DataError
        If image sets or conditions do not allow it, or a recording has no signal.
    """
    _check_comparable(recordings)
    is_same = np.array([have_same_neurons(recordings[0], other) for other in recordings])
    if not is_same.all():
        recordings = _draw_neurons(recordings, is_same, seed)
    counts = np.stack([recording.repeats_per_stimulus() for recording in recordings]).min(axis=0)
    note = "Trials beyond those that every condition has were dropped."
    equal = [
        recording.select_trials(count_within_group(recording.stimulus_id) < counts[recording.stimulus_id], note)
        for recording in recordings
    ]
    shown = np.flatnonzero(counts)
    before = np.array([_mean_fraction(recording, train) for recording in equal])
    if np.isfinite(before).all():
        if before.min() <= 0:
            poorest = equal[int(np.argmin(before))]
            raise DataError(
                f"Signal variance can be matched only where there is some; that of condition {poorest.condition!r} is estimated"
                f" at {before.min():.3f} of the variance. Leave this recording out, or record more repeats."
            )
        excess = (before / before.min() - 1).tolist()
        equal = [_add_noise(recording, train, part, seed) for recording, part in zip(equal, excess, strict=True)]
    after = np.array([_mean_fraction(recording, train) for recording in equal])
    return MatchedConditions(tuple(equal), shown, before, after, is_same)


def have_same_neurons(one: Recording, other: Recording) -> bool:
    """Tell whether two recordings have the same neurons in the same order: their positions are known and agree.

    An equal number of neurons is no evidence: two sessions of one size hold different neurons. Positions that are NaN in both
    agree; at least one must be known.
    """
    first, second = one.neuron_position_um, other.neuron_position_um
    if one is other:
        return True
    if first is None or second is None or first.shape != second.shape or not np.isfinite(first).all(axis=1).any():
        return False
    return np.array_equal(first, second, equal_nan=True)


def _draw_neurons(recordings: Sequence[Recording], is_same: Bool[np.ndarray, "condition"], seed: int) -> list[Recording]:
    """Draw as many neurons of each recording as the smallest has, the same ones of recordings of the same neurons."""
    fewest = min(recording.n_neurons for recording in recordings)
    drawn = []
    for recording, same in zip(recordings, is_same, strict=True):
        purpose = "neurons" if same else f"neurons {recording.condition}"
        order = generator_for(seed, purpose).permutation(recording.n_neurons)
        keep = np.isin(np.arange(recording.n_neurons), order[:fewest])
        note = f"{fewest} neurons were drawn at random, as many as the smallest recording has."
        drawn.append(recording if keep.all() else recording.select_neurons(keep, note))
    return drawn


def _check_comparable(recordings: Sequence[Recording]) -> None:
    sets = sorted({recording.image_set for recording in recordings})
    if len(sets) > 1:
        raise DataError(
            f"Conditions are compared on the same image identities; got the image sets {', '.join(sets)}. Give recordings of one set."
        )
    nameless = [recording.name for recording in recordings if recording.condition is None]
    if nameless:
        raise DataError(
            f'Conditions are compared by name; {", ".join(nameless)} states none. Say condition = "…" in a recording.toml of each.'
        )
    conditions = [str(recording.condition) for recording in recordings]
    if len(set(conditions)) < len(conditions):
        raise DataError(f"Each condition may be given once; got {', '.join(conditions)}. Leave the repeated one out.")


def _mean_fraction(recording: Recording, train: np.ndarray) -> float:
    trials = np.isin(recording.stimulus_id, train)
    counts = np.bincount(recording.stimulus_id[trials], minlength=1)
    if counts.max() < 2:
        return float("nan")
    return float(np.nanmean(signal_variance_fraction(recording.responses[trials], recording.stimulus_id[trials])))


def _add_noise(recording: Recording, train: np.ndarray, excess: float, seed: int) -> Recording:
    """Add noise of ``excess`` times each neuron's variance; the truth of a simulation is updated."""
    if excess <= 1e-9:
        return recording
    variance = recording.responses[np.isin(recording.stimulus_id, train)].var(axis=0) * np.float32(excess)
    generator = generator_for(seed, f"matching noise {recording.condition}")
    noise = generator.standard_normal(recording.responses.shape, dtype=np.float32)
    truth = recording.truth
    known = None if truth is None else replace(truth, private_variance=truth.private_variance + variance)
    noisy = recording.responses + noise * np.sqrt(variance)
    note = "Noise was added so that its signal variance fraction is that of the poorest condition."
    return replace(recording, responses=noisy, truth=known, notes=(*recording.notes, note))


def _fit(decoded: Decoded, recording: Recording, train: np.ndarray, validation: np.ndarray) -> Fitted:
    """Fit towers on one condition, transformed and standardised by itself; without a transform where the decoding has none."""
    is_raw = decoded.train.standardiser.transform.is_identity
    standardiser = learn_standardiser(recording, train, IDENTITY if is_raw else choose_transform(recording, train).transform)
    known, held_out = (make_pairs(recording, ids, standardiser) for ids in (train, validation))
    return replace(decoded, train=known, validation=held_out).refit().towers, standardiser


def _decode_condition(
    recording: Recording, test: np.ndarray, fit_within: Callable[[], Fitted], fit_first: Callable[[], Fitted] | None
) -> dict[str, np.ndarray]:
    """Decode a condition by towers fitted on it, by those of the first condition (if any) and by the ideal observer."""
    within, standardiser = fit_within()
    pairs = make_pairs(recording, test, standardiser)
    found = {"within": _search(within, pairs)}
    found["transferred"] = np.full_like(found["within"], np.nan)
    if fit_first is not None:
        first, of_first = fit_first()
        # these towers take responses transformed and standardised as those of the first condition
        found["transferred"] = _search(first, make_pairs(recording, test, of_first))
    if recording.truth is not None:
        # the truth is known in raw units
        pairs = (
            pairs if standardiser.transform.is_identity else make_pairs(recording, test, Standardiser.learn(recording.responses))
        )
        task = make_task(pairs, "averaged")
        ideal = IdealObserver(recording.truth).fit(pairs, pairs)
        found["ideal"] = first_places(ideal.score(task.queries, task.gallery))
    return found


def _search(towers: AlignedTowers, pairs: Pairs) -> Float[np.ndarray, "image candidate"]:
    queries = EncodedQueries(towers, pairs, np.arange(pairs.n_stimuli))
    return first_places(queries.score(queries.images))
