"""What a simulation knows about its recording: expected responses, noise, and everything that was planted."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Float32, Int

from dina.shapes import Scores


@dataclass(frozen=True, eq=False)
class Truth:
    """The true tuning and noise of a simulated recording."""

    mean: Float32[np.ndarray, "stimulus neuron"]
    private_variance: Float32[np.ndarray, "stimulus neuron"]
    shared_loadings: Float32[np.ndarray, "neuron factor"]

    def log_likelihood(
        self,
        responses: Float[np.ndarray, "query neuron"],
        n_presentations: Float[np.ndarray, "query"],
        stimulus_id: Int[np.ndarray, "gallery"],
    ) -> Scores:
        """Return the log likelihood ratio of each gallery image for each response (own units, not standardised)."""
        raise NotImplementedError

    def select_neurons(self, keep: Bool[np.ndarray, "neuron"]) -> Self:
        """Return the truth of the marked neurons."""
        raise NotImplementedError

    def to_dataset(self) -> xr.Dataset:
        """Return the truth as an xarray Dataset."""
        raise NotImplementedError

    @classmethod
    def from_dataset(cls, dataset: xr.Dataset) -> Self:
        """Make the truth from what `to_dataset` gave."""
        raise NotImplementedError
