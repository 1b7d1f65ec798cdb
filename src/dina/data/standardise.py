"""Mean and standard deviation of each neuron's transformed responses, learnt from training trials only."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int

from dina.checks import DataError
from dina.data.response_transform import IDENTITY, VALUES_AT_ONCE, ResponseTransform
from dina.large_arrays import blocks_of, large_zeros
from dina.shapes import Responses
from dina.short_words import brief


@dataclass(frozen=True, eq=False)
class Standardiser:
    """Transform single trials, and bring them to zero mean and unit variance over the training trials.

    Parameters
    ----------
    mean, deviation
        Of each neuron over training trials, in the units of transformed responses. A neuron that never changed has a deviation
        of 0, and is 0 after `apply`.
    transform
        What is done to every trial first, before repeats are averaged; by default nothing.
    """

    __repr__ = brief

    mean: Float32[np.ndarray, "neuron"]
    deviation: Float32[np.ndarray, "neuron"]
    transform: ResponseTransform = IDENTITY

    @classmethod
    def learn(
        cls, responses: Responses, transform: ResponseTransform = IDENTITY, trials: Int[np.ndarray, "chosen"] | None = None
    ) -> "Standardiser":
        """Learn from raw training trials: all those given, or some by their positions, of which no copy is made.

        Raises
        ------
        DataError
            If no neuron changes at all between the trials.
        """
        trials = np.arange(len(responses)) if trials is None else trials
        gain = transform.gain(responses)
        gain = None if gain is None else gain[trials]
        mean, deviation = np.empty(responses.shape[1]), np.empty(responses.shape[1])
        # some hundred neurons at a time: the float64 copy of ten thousand would be twice the recording
        for start in range(0, len(mean), 512):
            block = slice(start, start + 512)
            values = transform.select_neurons(block).apply(responses[trials, block], gain)
            mean[block] = values.mean(axis=0, dtype=np.float64)
            deviation[block] = values.std(axis=0, dtype=np.float64)
        # a neuron whose spread is rounding error of its mean is constant
        deviation[deviation < 1e-6 * np.maximum(np.abs(mean), 1e-30)] = 0.0
        if not deviation.any():
            raise DataError(
                f"Responses must vary between trials; all {len(mean)} neurons are constant over the"
                f" {len(trials)} training trials. Check which array was given as responses."
            )
        return cls(mean.astype(np.float32), deviation.astype(np.float32), transform)

    def apply(
        self, responses: Responses, trials: Int[np.ndarray, "chosen"] | None = None
    ) -> Float32[np.ndarray, "kept_trial neuron"]:
        """Return ``(transformed - mean) / deviation`` of raw single trials, or of some of them; 0 where the deviation is 0."""
        trials = np.arange(len(responses)) if trials is None else trials
        scale = np.divide(1.0, self.deviation, out=np.zeros_like(self.deviation), where=self.deviation > 0)
        standard = large_zeros((len(trials), responses.shape[1]))
        for some in blocks_of(len(trials), max(1, VALUES_AT_ONCE // max(1, responses.shape[1]))):
            np.subtract(self.transform.apply(responses[trials[some]]), self.mean, out=standard[some])
            standard[some] *= scale
        return standard

    def undo(self, standardised: Responses) -> Responses:
        """Return single trials in their own units; a constant neuron comes back at its mean.

        Where the transform has a gain, trials come back divided by it. Averages come back as averages only under the identity.
        """
        return self.transform.undo(self.unstandardise(standardised))

    def unstandardise(self, standardised: Responses) -> Responses:
        """Return transformed responses in their own units, single trials or averages; the transform is not undone."""
        return standardised * self.deviation + self.mean
