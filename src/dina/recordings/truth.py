"""What a simulation knows about its recording: expected responses, noise, and everything that was planted."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float32, Int, Num, Shaped

from dina.checks import DataError
from dina.recordings.response_law import ResponseLaw
from dina.shapes import Scores
from dina.short_words import brief

PER_NEURON = "neuron"
_PER_STIMULUS = ("mean", "private_variance", "shared_gain")
_LAW = ("amplitude", "missed", "private_deviation")
Covariance = Literal["pooled", "per_stimulus"]


@dataclass(frozen=True, eq=False)
class Truth:
    r"""The true tuning and noise of a simulated recording, and the ideal observer made from them.

    Given image s, a population response has mean ``mean[s]`` and covariance
    ``diag(private_variance[s]) + B Bᵀ`` with ``B = [shared_gain[s] ∘ shared_loadings, gain_deviation · mean[s]]``.

    Parameters
    ----------
    mean
        Expected response, in the units of the recording.
    private_variance
        Variance of a single trial that no other neuron shares, positive.
    shared_gain
        How much a neuron's response moves with its shared noise when this image is shown.
    shared_loadings
        Shared noise in units of a neuron's potential.
    gain_deviation
        Standard deviation over trials of the gain common to all neurons; dimensionless.
    planted, planted_axes
        Everything else that was put in, by name, and the axes of each array, for example ``("neuron",)``.
    law
        How the neurons respond; None for simulations by version 1.0, which did not keep it.
    """

    __repr__ = brief

    mean: Float32[np.ndarray, "stimulus neuron"]
    private_variance: Float32[np.ndarray, "stimulus neuron"]
    shared_gain: Float32[np.ndarray, "stimulus neuron"]
    shared_loadings: Float32[np.ndarray, "neuron factor"]
    gain_deviation: float = 0.0
    planted: Mapping[str, Shaped[np.ndarray, "..."]] = field(default_factory=dict)
    planted_axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    law: ResponseLaw | None = None

    def log_likelihood(
        self,
        responses: Num[np.ndarray, "query neuron"],
        n_presentations: Num[np.ndarray, "query"],
        stimulus_id: Int[np.ndarray, "gallery"],
        covariance: Covariance = "pooled",
    ) -> Scores:
        r"""Return log p(response | image), up to a constant of each query, for the true means and covariances of a Gaussian.

        This is the ideal observer for responses in these units. It bounds, on average, decoders that treat responses in the
        same units as Gaussian about a mean that depends on the image, with one covariance. Responses are not Gaussian: decoders
        that first transform them can do better, and so does the observer `after_power`.

        Parameters
        ----------
        responses
            In the units of the recording, not standardised.
        n_presentations
            How many presentations each response averages; the covariance is divided by it.
        stimulus_id
            The candidates.
        covariance
            "pooled": averaged over all images of the recording. "per_stimulus": that of each image; it identifies fewer images,
            because the tails of rectified responses are heavier than a Gaussian of small variance allows.

        Notes
        -----
        With :math:`\Sigma = D + BB^\top` the Woodbury identity gives
        :math:`r^\top\Sigma^{-1}r = r^\top D^{-1}r - \lVert L^{-1}B^\top D^{-1}r\rVert^2`, :math:`LL^\top = I +
        B^\top D^{-1}B`, and :math:`\log\det\Sigma = \log\det D + 2\log\det L`: never neurons² per image.
        """
        presentations = torch.from_numpy(np.asarray(n_presentations, dtype=np.float64))[:, None]
        values = torch.from_numpy(np.ascontiguousarray(responses, dtype=np.float32))
        if covariance == "pooled":
            private, loadings = self.pooled_covariance()
            quadratic, _ = _gaussian(values, torch.from_numpy(self.mean[stimulus_id]), private, loadings)
            return (-0.5 * presentations * quadratic).numpy()
        result = torch.empty((len(values), len(stimulus_id)), dtype=torch.float64)
        for position, stimulus in enumerate(stimulus_id):
            mean = self.mean[stimulus]
            factors = self._loadings(self.shared_gain[stimulus], mean)
            quadratic, log_determinant = _gaussian(values, torch.from_numpy(mean)[None], self.private_variance[stimulus], factors)
            result[:, position] = -0.5 * (presentations * quadratic + log_determinant)[:, 0]
        return result.numpy()

    def pooled_covariance(self) -> tuple[Float32[np.ndarray, "neuron"], Float32[np.ndarray, "neuron factor"]]:
        """Return the noise covariance averaged over images as private variances and loadings of shared factors.

        The diagonal is the exact average. Off the diagonal, the shared noise is multiplied by each neuron's gain averaged over
        images.
        """
        shared_variance = (self.shared_loadings**2).sum(1)
        gain, mean = self.shared_gain.mean(0), self.mean.mean(0)
        total = self.private_variance.mean(0) + (self.shared_gain**2).mean(0) * shared_variance
        total += self.gain_deviation**2 * (self.mean**2).mean(0)
        loadings = self._loadings(gain, mean)
        return total - (loadings**2).sum(1), loadings

    def _loadings(self, gain: np.ndarray, mean: np.ndarray) -> np.ndarray:
        return np.concatenate([self.shared_loadings * gain[:, None], self.gain_deviation * mean[:, None]], axis=1)

    def after_power(self, power: float) -> Self:
        """Return the truth of ``responses ** power``, each trial transformed before anything is averaged.

        Means, and the variance of each neuron, are exact; covariances hold to first order, as without a power.

        Raises
        ------
        DataError
            If this truth does not hold how the neurons respond.
        """
        law = self._known_law()
        moments = law.moments(law.potential(self.mean, self.shared_loadings), self.shared_loadings, power)
        changed: dict[str, Any] = dict(zip(_PER_STIMULUS, moments, strict=True))
        return replace(self, **changed, gain_deviation=law.gain_deviation_after(power), law=None)

    def draw_trials(
        self, stimulus_id: Int[np.ndarray, "trial"], generator: np.random.Generator
    ) -> Float32[np.ndarray, "trial neuron"]:
        """Draw further trials of the images ``stimulus_id`` in the units of the recording; drift is one of the shared factors.

        Raises
        ------
        DataError
            If this truth does not hold how the neurons respond.
        """
        law = self._known_law()
        potential = law.potential(self.mean[stimulus_id], self.shared_loadings)
        shape = len(stimulus_id), self.shared_loadings.shape[1]
        potential += generator.standard_normal(shape, dtype=np.float32) @ self.shared_loadings.T
        potential += generator.standard_normal(potential.shape, dtype=np.float32) * law.private_deviation
        return law.respond(potential, generator)

    def _known_law(self) -> ResponseLaw:
        if self.law is None:
            raise DataError("This truth does not hold how the neurons respond. Simulate the recording again with this version.")
        return self.law

    def select_neurons(self, keep: Bool[np.ndarray, "neuron"]) -> Self:
        """Return the truth of the marked neurons."""
        arrays: dict[str, Any] = {name: np.ascontiguousarray(getattr(self, name)[:, keep]) for name in _PER_STIMULUS}
        planted = {name: self._kept(name, values, keep) for name, values in self.planted.items()}
        law = None if self.law is None else self.law.select_neurons(keep)
        return replace(self, **arrays, shared_loadings=self.shared_loadings[keep], planted=planted, law=law)

    def _kept(self, name: str, values: np.ndarray, keep: np.ndarray) -> np.ndarray:
        if name == "synergistic_pairs":  # indices of neurons: renumbered, and dropped unless both are kept
            number = np.cumsum(keep) - 1
            return number[values[keep[values].all(axis=1)]].astype(np.int64)
        return values[keep] if self.planted_axes[name][0] == PER_NEURON else values

    def to_dataset(self) -> xr.Dataset:
        """Return the truth as an xarray Dataset with named axes; planted arrays carry the prefix ``planted_``."""
        arrays: dict[str, xr.Variable] = {
            name: xr.Variable(("stimulus", PER_NEURON), getattr(self, name)) for name in _PER_STIMULUS
        }
        arrays["shared_loadings"] = xr.Variable((PER_NEURON, "factor"), self.shared_loadings)
        attributes = {"gain_deviation": self.gain_deviation}
        if self.law is not None:
            arrays |= {f"law_{name}": xr.Variable((PER_NEURON,), getattr(self.law, name)) for name in _LAW}
            attributes["exponent"] = self.law.exponent
        for name, values in self.planted.items():
            is_boolean = values.dtype == np.bool_  # which a file cannot hold
            stored = values.astype(np.uint8) if is_boolean else values
            arrays[f"planted_{name}"] = xr.Variable(self.planted_axes[name], stored, {"is_boolean": int(is_boolean)})
        return xr.Dataset(arrays, attrs=attributes)

    @classmethod
    def from_dataset(cls, dataset: xr.Dataset) -> Self:
        """Make the truth from what `to_dataset` gave."""
        planted, axes = {}, {}
        for variable, array in dataset.items():
            name = str(variable).removeprefix("planted_")
            if name != variable:
                values = array.to_numpy()
                planted[name] = values.astype(np.bool_) if array.attrs.get("is_boolean") else values
                axes[name] = tuple(str(axis) for axis in array.dims)
        names = (*_PER_STIMULUS, "shared_loadings")
        arrays = {name: dataset[name].to_numpy().astype(np.float32, copy=False) for name in names}
        gain_deviation, law = float(dataset.attrs["gain_deviation"]), None
        if "exponent" in dataset.attrs:
            per_neuron = {name: dataset[f"law_{name}"].to_numpy() for name in _LAW}
            law = ResponseLaw(float(dataset.attrs["exponent"]), gain_deviation, **per_neuron)
        return cls(**arrays, gain_deviation=gain_deviation, planted=planted, planted_axes=axes, law=law)


def _gaussian(
    responses: torch.Tensor, mean: torch.Tensor, private_variance: np.ndarray, loadings: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return squared Mahalanobis distances (query, mean) and the logarithm of the determinant, in float64."""
    root = torch.from_numpy(np.ascontiguousarray(private_variance)).rsqrt()
    whitened = torch.from_numpy(np.ascontiguousarray(loadings)) * root[:, None]
    gram = (whitened.T @ whitened).double()
    gram.diagonal().add_(1.0)
    factor = torch.linalg.cholesky(gram)
    centre = mean.mean(0)  # differences of small numbers: less rounding in float32
    response_rows, mean_rows = (responses - centre) * root, (mean - centre) * root
    response_shared, mean_shared = (
        torch.linalg.solve_triangular(factor, (values @ whitened).double().T, upper=False).T
        for values in (response_rows, mean_rows)
    )
    distance = -2 * ((response_rows @ mean_rows.T).double() - response_shared @ mean_shared.T)
    for axis, values, shared in ((1, response_rows, response_shared), (0, mean_rows, mean_shared)):
        distance += ((values**2).sum(1, dtype=torch.float64) - (shared**2).sum(1)).unsqueeze(axis)
    log_determinant = 2 * (factor.diagonal().log().sum() - root.double().log().sum())
    return distance, log_determinant
