"""Mean and standard deviation of each neuron, learnt from training trials only."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from dina.checks import DataError
from dina.shapes import Responses


@dataclass(frozen=True, eq=False)
class Standardiser:
    """Bring responses to zero mean and unit variance over the training trials.

    Parameters
    ----------
    mean, deviation
        Of each neuron over training trials, in the units of the responses. A neuron that never changed has a deviation of 0,
        and is 0 after `apply`.
    """

    mean: Float32[np.ndarray, "neuron"]
    deviation: Float32[np.ndarray, "neuron"]

    @classmethod
    def learn(cls, responses: Responses) -> "Standardiser":
        """Learn from training trials.

        Raises
        ------
        DataError
            If no neuron changes at all between the trials.
        """
        mean = responses.mean(axis=0, dtype=np.float64)
        deviation = np.empty_like(mean)
        # some hundred neurons at a time: the float64 copy of ten thousand would be twice the recording
        for start in range(0, len(mean), 512):
            deviation[start : start + 512] = responses[:, start : start + 512].std(axis=0, dtype=np.float64)
        # a neuron whose spread is rounding error of its mean is constant
        deviation[deviation < 1e-6 * np.maximum(np.abs(mean), 1e-30)] = 0.0
        if not deviation.any():
            raise DataError(
                f"Responses must vary between trials; all {len(mean)} neurons are constant over the"
                f" {len(responses)} training trials. Check which array was given as responses."
            )
        return cls(mean.astype(np.float32), deviation.astype(np.float32))

    def apply(self, responses: Responses) -> Responses:
        """Return ``(responses - mean) / deviation``; 0 where the deviation is 0."""
        scale = np.divide(1.0, self.deviation, out=np.zeros_like(self.deviation), where=self.deviation > 0)
        return (responses - self.mean) * scale

    def undo(self, standardised: Responses) -> Responses:
        """Return responses in their own units; a constant neuron comes back as its mean."""
        return standardised * self.deviation + self.mean
