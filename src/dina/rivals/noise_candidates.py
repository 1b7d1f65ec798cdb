"""The noise covariances that an encoding model may choose from by validation, twenty of each kind."""

from collections.abc import Iterator
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from dina.models.noise import LowRankNoise, ResidualComponents, decompose_residuals

NoiseKind = Literal["shared", "independent", "shrinkage"]

COMPONENT_COUNTS = (0, 32, 64, 128, 256)
"""Numbers of shared components."""

SHRINKAGES = (0.1, 0.5)
"""Shrinkages of the correlations that they make."""

WHOLE_SHRINKAGES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 0.95)
"""Shrinkages of a whole covariance towards its diagonal."""

EQUALISATIONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""How far the variances of independent noise are drawn towards their mean over neurons."""


def noise_candidates(
    kind: NoiseKind, residuals: dict[str, Float[Tensor, "row neuron"]]
) -> Iterator[tuple[LowRankNoise, dict[str, str | float]]]:
    """Yield noise models and the settings that made them.

    Parameters
    ----------
    kind
        "shared": some components in common, the rest of each neuron's variance its own. "independent": nothing in
        common. "shrinkage": the whole sample covariance, correlations shrunk; it is never formed, since it has no more
        components than there are residuals.
    residuals
        By source, for example differences between repeats. Ten settings for each.

    References
    ----------
    Ledoit & Wolf (2004), J. Multivar. Anal. 88:365. https://doi.org/10.1016/S0047-259X(03)00096-4. They compute the
    shrinkage and shrink towards equal variances; here validation chooses it and variances are kept.
    """
    for source, rows in residuals.items():
        components = decompose_residuals(rows) if kind != "independent" else _no_components(rows)
        if kind == "shared":
            settings = [(count, shrinkage) for count in COMPONENT_COUNTS for shrinkage in SHRINKAGES]
        elif kind == "shrinkage":
            settings = [(len(components.strength), shrinkage) for shrinkage in WHOLE_SHRINKAGES]
        else:
            settings = [(0, equalisation) for equalisation in EQUALISATIONS]
        for count, shrinkage in settings:
            noise = components.noise(count, shrinkage)
            if kind == "independent":
                noise = LowRankNoise(noise.private.lerp(noise.private.mean(), shrinkage), noise.loadings)
            yield noise, {"noise_from": source, "noise_components": count, "noise_shrinkage": shrinkage}


def _no_components(rows: Float[Tensor, "row neuron"]) -> ResidualComponents:
    variance = rows.square().mean(0)
    variance = torch.where(variance > 0, variance, torch.ones_like(variance))
    return ResidualComponents(variance, rows.new_zeros(rows.shape[1], 0), rows.new_zeros(0))
