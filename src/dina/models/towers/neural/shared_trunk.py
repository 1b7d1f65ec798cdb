"""Neural towers whose last layers several recordings share: only what meets the neurons belongs to one recording."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dina.models.towers.tower import FeatureMaps, MapShape, NeuralTower, NeuronDropout, ResponseBatch


class SharedTrunk(nn.Module):
    """Residual layers from a common space of population responses to feature maps; the same for every recording.

    Each block has two linear layers with a non-linearity (GELU) in between, after normalisation.
    """

    def __init__(self, width: int, n_blocks: int, map_shape: MapShape) -> None:
        super().__init__()
        self.map_shape = map_shape
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
            for _ in range(n_blocks)
        )
        self.maps = nn.Linear(width, map_shape[0] * map_shape[1] * map_shape[2])

    def forward(self, common: Float[Tensor, "batch dimension"]) -> FeatureMaps:
        """Return the maps of points of the common space."""
        for block in self.blocks:
            common = common + block(common)
        return self.maps(common).unflatten(1, self.map_shape)


class AdaptedTrunk(NeuralTower):
    """One linear adapter for the neurons of a recording, then a trunk that all recordings share and train.

    ``gain`` multiplies each response first; it is learnt elsewhere.
    """

    gain: Tensor

    def __init__(self, n_neurons: int, trunk: SharedTrunk, width: int, dropout: float) -> None:
        super().__init__(n_neurons, trunk.map_shape)
        self.dropout = NeuronDropout(dropout)
        self.adapter = nn.Linear(n_neurons, width)
        self.trunk = trunk
        self.register_buffer("gain", torch.ones(n_neurons))

    def set_gain(self, gain: Float[Tensor, "neuron"]) -> None:
        """Set the factor by which each response is multiplied first, for example its reliability."""
        self.gain.copy_(gain)

    def to_common(self, responses: ResponseBatch) -> Float[Tensor, "batch dimension"]:
        """Return where responses lie in the common space."""
        self.check_input(responses)
        return self.adapter(self.dropout(responses * self.gain))

    def forward(self, responses: ResponseBatch) -> FeatureMaps:
        """Return feature maps."""
        return self.trunk(self.to_common(responses))


class RebuildingTrunk(AdaptedTrunk):
    """An adapted trunk that can also go back: from the common space to the responses of its own neurons."""

    def __init__(self, n_neurons: int, trunk: SharedTrunk, width: int, dropout: float) -> None:
        super().__init__(n_neurons, trunk, width, dropout)
        self.shape_common = nn.Sequential(nn.LayerNorm(width), nn.GELU())
        self.rebuild = nn.Linear(width, n_neurons)

    def to_common(self, responses: ResponseBatch) -> Float[Tensor, "batch dimension"]:
        """Return where responses lie in the common space."""
        return self.shape_common(super().to_common(responses))

    def from_common(self, common: Float[Tensor, "batch dimension"]) -> ResponseBatch:
        """Return the responses (standardised) of these neurons at points of the common space."""
        return self.rebuild(common)


def cyclic_loss(own: RebuildingTrunk, other: RebuildingTrunk, responses: ResponseBatch, cycle_weight: float) -> Float[Tensor, ""]:
    r"""Return how badly standardised responses are rebuilt, and how far they move on the way through another recording's neurons.

    Notes
    -----
    With :math:`E` to the common space and :math:`B` from it: :math:`\lVert B_a E_a r - r \rVert^2 + w \lVert E_b B_b E_a r -
    E_a r \rVert^2`, means over neurons and dimensions.

    References
    ----------
    Wang et al. (2024), https://doi.org/10.48550/arXiv.2404.07850
    """
    common = own.to_common(responses)
    rebuilt = (own.from_common(common) - responses).square().mean()
    moved = (other.to_common(other.from_common(common)) - common).square().mean()
    return rebuilt + cycle_weight * moved
