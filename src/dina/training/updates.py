"""Updates of weights in a fit: how many an epoch makes, and as many for a fit of fewer images or recordings."""

import math
from collections.abc import Sequence

from dina.training.batches import count_batches
from dina.training.fit import FitSettings


def updates_per_epoch(n_images: Sequence[int], batch_size: int) -> int:
    """Return how many updates of what is shared an epoch makes; one recording alone shares with nobody.

    Parameters
    ----------
    n_images
        Training images of each recording.
    batch_size
        Images per batch, at most.

    Examples
    --------
    >>> updates_per_epoch([400, 400, 40], 128)
    9
    """
    return sum(count_batches(n, batch_size) for n in n_images)


def with_updates(fit: FitSettings, n_images: Sequence[int], n_updates: int) -> FitSettings:
    """Lengthen a training, in proportion patience and halving too, until it may make so many updates.

    An epoch of one recording makes fewer updates than one of several recordings together, and one of few images fewer still:
    with the same epochs a comparison of the two would compare short with long trainings.

    Parameters
    ----------
    fit
        The training; it is never shortened, and one of no epochs stays so.
    n_images
        Training images of each recording in it.
    n_updates
        At least so many.

    Examples
    --------
    >>> longer = with_updates(FitSettings(n_epochs=40, patience=12), [40], 360)
    >>> longer.n_epochs, longer.patience
    (360, 108)
    """
    n_epochs = max(fit.n_epochs, math.ceil(n_updates / updates_per_epoch(n_images, fit.batch_size)))
    if fit.n_epochs == 0 or n_epochs == fit.n_epochs:
        return fit

    def lengthened(n: int | None) -> int | None:
        return None if n is None else math.ceil(n * n_epochs / fit.n_epochs)

    changes = {"n_epochs": n_epochs, "patience": lengthened(fit.patience), "halve_after": lengthened(fit.halve_after)}
    return fit.model_copy(update=changes)
