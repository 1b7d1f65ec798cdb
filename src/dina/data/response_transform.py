"""Powers of responses, taken trial by trial before anything else, that make noise alike at weak and strong responses."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
from jaxtyping import Float, Float32, Int

from dina.checks import DataError
from dina.shapes import Responses
from dina.short_words import brief

Units = Literal["chosen", "raw", "fourth root"]
"""Responses after the transform that was chosen for a recording, as they were recorded, or their signed fourth roots."""

VALUES_AT_ONCE = 8_000_000
"""Values transformed at once: temporaries stay at tens of megabytes, however large the recording."""


@dataclass(frozen=True, eq=False)
class ResponseTransform:
    r"""Turn each response :math:`x` into :math:`\mathrm{sign}(x + o)\,|x + o|^p`, after an optional gain of the trial.

    Noise of neurons grows with their response. The right power makes it the same at weak and strong responses, so that a
    Gaussian describes it. It must come first: a power of an average is not the average of powers.

    Parameters
    ----------
    name
        In words: "identity", "power 0.5", "power 0.5 with gain", "offset root", "per neuron".
    power
        :math:`p`, one for all neurons (no axes) or one for each; above 0, dimensionless.
    offset
        :math:`o`, in the units of the responses, likewise.
    mean_root
        None for no gain. Otherwise the root mean square of a trial over all neurons, averaged over training trials, in the
        units of the responses: each trial is first divided by its own root mean square over this mean. The gain is read from
        the population alone, never from the image.

    Raises
    ------
    DataError
        If a power is not above 0, an offset is not finite, or ``mean_root`` is not above 0.

    References
    ----------
    Anscombe (1948), Biometrika 35:246. https://doi.org/10.1093/biomet/35.3-4.246

    Examples
    --------
    >>> root = ResponseTransform.of_power(0.5)
    >>> root.apply(np.array([[-4.0, 0.0, 9.0]], dtype=np.float32))
    array([[-2.,  0.,  3.]], dtype=float32)
    """

    __repr__ = brief

    name: str
    power: Float32[np.ndarray, "*neuron"]
    offset: Float32[np.ndarray, "*neuron"]
    mean_root: float | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.power).all() and (self.power > 0).all()):
            raise DataError(f"Powers of responses must be above 0; the lowest is {self.power.min()}. Give others.")
        if not np.isfinite(self.offset).all() or (self.mean_root is not None and not self.mean_root > 0):
            raise DataError("Offsets of responses must be finite, and the mean root mean square above 0. Give others.")

    @classmethod
    def of_power(cls, power: float, name: str = "") -> Self:
        """Return one power for all neurons, without offset and gain."""
        one = np.asarray(power, dtype=np.float32)
        return cls(name or f"power {power:.2g}", one, np.zeros_like(one))

    @property
    def is_identity(self) -> bool:
        """Whether responses stay as they are."""
        return self.mean_root is None and bool((self.power == 1).all()) and not self.offset.any()

    def with_gain(self, training: Responses, trials: Int[np.ndarray, "chosen"] | None = None) -> Self:
        """Return this transform after a gain; ``training`` are the raw training trials, or those among them at some positions.

        Raises
        ------
        DataError
            If all of them are zero.
        """
        name = "gain" if self.is_identity else f"{self.name} with gain"
        return replace(
            self, name=name, mean_root=float(_root_mean_square(training)[slice(None) if trials is None else trials].mean())
        )

    def gain(self, responses: Responses) -> Float32[np.ndarray, "trial"] | None:
        """Return the factor by which each trial is divided, 1 for a trial of zeros; None where the transform has no gain."""
        if self.mean_root is None:
            return None
        root = _root_mean_square(responses)
        return np.where(root > 0, root / self.mean_root, 1.0).astype(np.float32)

    def apply(self, responses: Responses, gain: Float32[np.ndarray, "trial"] | None = None) -> Responses:
        """Transform raw trials; the identity returns the same array.

        ``gain`` is what `gain` returned for them; needed only where ``responses`` are of some of the neurons, and read only where
        the transform has a gain.
        """
        if self.is_identity:
            return responses
        if self.mean_root is None:
            gain = None
        elif gain is None:
            gain = self.gain(responses)
        result = np.empty(responses.shape, dtype=np.float32)
        for rows in _blocks(*responses.shape):
            part = responses[rows] if gain is None else responses[rows] / gain[rows, None]
            result[rows] = _signed_power(part + self.offset, self.power)
        return result

    def undo(self, transformed: Responses) -> Responses:
        """Return raw responses; where there is a gain, each trial divided by it.

        Undo single trials: the average of transformed trials does not come back as their average.
        """
        if self.is_identity:
            return transformed
        result = np.empty(transformed.shape, dtype=np.float32)
        for rows in _blocks(*transformed.shape):
            result[rows] = _signed_power(transformed[rows], np.asarray(1 / self.power)) - self.offset
        return result

    def select_neurons(self, neurons: slice | Int[np.ndarray, "kept"]) -> Self:
        """Return the transform of some neurons; a gain must still be computed from all."""
        power, offset = (values if values.ndim == 0 else values[neurons] for values in (self.power, self.offset))
        return replace(self, power=power, offset=offset)


IDENTITY = ResponseTransform.of_power(1.0, "identity")
"""Responses as they were recorded."""

FOURTH_ROOT = ResponseTransform.of_power(0.25)
"""Signed fourth roots."""


def transform_in(units: Units, chosen: ResponseTransform) -> ResponseTransform:
    """Return the transform that gives these units; ``chosen`` is that of the recording."""
    return {"chosen": chosen, "raw": IDENTITY, "fourth root": FOURTH_ROOT}[units]


def _signed_power(values: Float32[np.ndarray, "trial neuron"], power: Float32[np.ndarray, "*neuron"]) -> np.ndarray:
    one = float(power.flat[0]) if (power == power.flat[0]).all() else None
    if one == 1.0:
        return values
    size = np.abs(values)
    if one in (0.5, 0.25):  # roots are several times faster than powers
        for _ in range(1 if one == 0.5 else 2):
            np.sqrt(size, out=size)
    else:
        np.power(size, power, out=size)
    return np.copysign(size, values)


def _root_mean_square(responses: Responses) -> Float[np.ndarray, "trial"]:
    total = np.empty(len(responses))
    for rows in _blocks(*responses.shape):
        part = responses[rows]
        total[rows] = np.einsum("tn,tn->t", part, part, dtype=np.float64)
    return np.sqrt(total / responses.shape[1])


def _blocks(n_trials: int, n_neurons: int) -> Iterator[slice]:
    step = max(1, VALUES_AT_ONCE // max(1, n_neurons))
    for first in range(0, n_trials, step):
        yield slice(first, first + step)
