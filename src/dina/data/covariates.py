"""What the animal did, running and pupil, regressed out of the responses by training trials only."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from dina.checks import DataError, check_choice
from dina.recordings.recording import Recording
from dina.statistics.repeats import mean_square_by_group

_FEWEST_RESIDUALS = 10  # degrees of freedom within images, for each covariate
_SAME = 1e-6  # singular values below this share of the largest belong to covariates that follow from others


@dataclass(frozen=True)
class CovariateEffect:
    """How much of the responses covariates explain, in training trials.

    Parameters
    ----------
    names
        The covariates that were regressed out.
    is_within_images
        Whether weights were learnt from deviations of trials from the mean of their image; else from all deviations, with which a
        part that belongs to the images may go, too.
    median_share, largest_share
        Share of that variance which they explain, over neurons that vary.
    chance_share
        What covariates without any relation to the responses would explain.
    n_unknown
        Trials of which a covariate is unknown; its mean was taken.
    """

    names: tuple[str, ...]
    is_within_images: bool
    median_share: float
    largest_share: float
    chance_share: float
    n_unknown: int

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``summary.json``."""
        return {**asdict(self), "names": list(self.names), "in_words": self.in_words()}

    def in_words(self) -> str:
        """Say what was done and how much it changed."""
        what = ", ".join(name.replace("_", " ") for name in self.names)
        of = (
            "the variance about the means of images"
            if self.is_within_images
            else "the variance (there are too few repeats to keep images apart)"
        )
        unknown = f" In {self.n_unknown} trials a covariate was unknown, and its mean was taken." if self.n_unknown else ""
        return (
            f"Regressed out of the responses of all trials, with weights from training trials only: {what}. In training trials this takes"
            f" {100 * self.median_share:.1f} % of {of} from the median neuron and {100 * self.largest_share:.1f} % from the one it changes"
            f" most; without any relation it would be {100 * self.chance_share:.1f} %.{unknown}"
        )


def regress_out(
    recording: Recording, names: Sequence[str], train: Int[np.ndarray, "n_train"]
) -> tuple[Recording, CovariateEffect]:
    r"""Remove from the responses what covariates of each trial predict linearly, with weights from the trials of training images.

    Use it to ask whether a decoding rests on running or arousal that went along with images by chance. The covariates of a test
    trial are read, its response is not: the weights know nothing of it.

    Parameters
    ----------
    recording
        With ``covariates``.
    names
        Which of them.
    train
        The training images.

    Returns
    -------
    recording
        The same, with other responses; a note says so.
    effect
        How much they explain.

    Raises
    ------
    DataError
        If the recording has no such covariate, or it never changes in training trials, or not between trials of one image.

    Notes
    -----
    With deviations :math:`\tilde c` of the covariates of training trials from the mean over the trials of their image,
    :math:`\beta = (\tilde c^\top \tilde c)^{+} \tilde c^\top r`, and the result is :math:`r - (c - \bar c) \beta`, :math:`\bar c` the
    mean over training trials. What covariates share with images thus stays. Where images have fewer than ten further trials for each
    covariate, :math:`\tilde c = c - \bar c`.
    """
    values = _chosen(recording, names)
    is_train = np.isin(recording.stimulus_id, train)
    known = np.isfinite(values)
    mean = np.array(
        [column[fine & is_train].mean() if (fine & is_train).any() else np.nan for column, fine in zip(values.T, known.T)]
    )
    centred = np.where(known, values - mean, 0.0)
    deviation = centred[is_train].std(axis=0)
    if not (deviation > 0).all():
        constant = names[int(np.argmin(np.nan_to_num(deviation)))]
        raise DataError(
            f"A covariate must vary in training trials to be regressed out; {constant} does not. Leave it out of regress_out."
        )
    centred /= deviation
    image = np.unique(recording.stimulus_id[is_train], return_inverse=True)[1]
    n_images, n_train = int(image.max()) + 1, int(is_train.sum())
    is_within = n_train - n_images >= _FEWEST_RESIDUALS * len(names)
    group = image if is_within else np.zeros(n_train, dtype=np.int64)
    residual = centred[is_train] - _group_means(centred[is_train], group)
    if not (residual.std(axis=0) > _SAME).all():  # what is left is rounding, and weights would be huge
        constant = names[int(np.argmin(residual.std(axis=0)))]
        raise DataError(
            f"A covariate must vary between trials of one image to be regressed out; {constant} does not. Leave it out of regress_out."
        )
    weights, taken, total = _weights(residual, recording.responses, is_train, group)
    share = np.divide(taken, total, out=np.full(len(total), np.nan), where=total > 0)
    responses = recording.responses - centred.astype(np.float32) @ weights.astype(np.float32)
    effect = CovariateEffect(
        tuple(names),
        bool(is_within),
        float(np.nanmedian(share)),
        float(np.nanmax(share)),
        len(names) / max(1, n_train - (n_images if is_within else 1)),
        int((~known).any(axis=1).sum()),
    )
    return replace(recording, responses=responses, notes=(*recording.notes, effect.in_words())), effect


def _chosen(recording: Recording, names: Sequence[str]) -> Float[np.ndarray, "trial covariate"]:
    if recording.covariates is None or recording.covariate_names is None:
        raise DataError(f"{recording.name} has no covariates to regress out; got {', '.join(names)}. Leave out regress_out.")
    present = recording.covariate_names.tolist()
    places = [present.index(check_choice("covariate", name, present)) for name in names]
    return recording.covariates[:, places].astype(np.float64)


def _group_means(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return for each row the mean of its group."""
    counts = np.bincount(group)
    means = np.stack([np.bincount(group, weights=column) / counts for column in values.T], axis=1)
    return means[group]


def _weights(residual: np.ndarray, responses: np.ndarray, is_train: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return weights (covariate, neuron), the sum of squares that they explain, and that of all deviations, some neurons at a time."""
    inverse = np.linalg.pinv(residual.T @ residual, rcond=_SAME, hermitian=True)
    n = responses.shape[1]
    weights, taken, total = np.empty((residual.shape[1], n)), np.empty(n), np.empty(n)
    for start in range(0, n, 512):
        block = slice(start, start + 512)
        values = responses[is_train, block].astype(np.float64)
        covariance = residual.T @ values
        weights[:, block] = inverse @ covariance
        taken[block] = (weights[:, block] * covariance).sum(axis=0)
        total[block] = mean_square_by_group(values, group, int(group.max()) + 1)[0]
    return weights, taken, total
