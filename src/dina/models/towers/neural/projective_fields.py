"""A neural tower in which each neuron adds its own projective field to the feature maps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dina.models.noise import LowRankNoise
from dina.models.towers.field_basis import axis_patterns, count_fields, pattern_orders
from dina.models.towers.fitted_buffers import FittedBuffers
from dina.models.towers.tower import FeatureMaps, MapShape, NeuralTower, NeuronDropout, ResponseBatch

MOST_NUMBERS = 2**23  # of products of patterns with maps held at a time: 32 MB, since fresh memory takes longer than sums


class WeightsBeside(FittedBuffers):
    """Weights of every neuron on features that have no places, which lie in the last channels of the map.

    Each block of features begins at a channel of its own and fills it place by place. ``position`` says where each feature
    lies in these channels. The first features are read by all neurons (``dense``), the others by a few neurons each:
    ``neuron``, ``feature`` (counted among these others) and ``value`` hold their weights.
    """

    position: Tensor
    dense: Tensor
    neuron: Tensor
    feature: Tensor
    value: Tensor

    def __init__(self, n_neurons: int) -> None:
        super().__init__()
        self.n_neurons = n_neurons
        self.register_buffer("position", torch.zeros(0, dtype=torch.long))
        self.register_buffer("dense", torch.zeros(n_neurons, 0))
        self.register_buffer("neuron", torch.zeros(0, dtype=torch.long))
        self.register_buffer("feature", torch.zeros(0, dtype=torch.long))
        self.register_buffer("value", torch.zeros(0))

    def count_channels(self, n_places: int) -> int:
        """Return how many channels of the map the features take."""
        return 0 if not len(self.position) else int(self.position.max()) // n_places + 1

    def predict(self, maps: Float[Tensor, "batch beside_channel height width"]) -> Float[Tensor, "batch neuron"]:
        """Return what the features add to each neuron's expected response."""
        features = maps.flatten(1)[:, self.position]
        n_dense = self.dense.shape[1]
        rest = features[:, n_dense:]
        return features[:, :n_dense] @ self.dense.T + (self._sparse(rest.shape[1]) @ rest.T).T

    def draw(self, whitened: Float[Tensor, "batch neuron"], n_places: int) -> Float[Tensor, "batch beside_channel place"]:
        """Return the sum of all neurons' weights, each times its whitened response (the adjoint of `predict`)."""
        n_sparse = len(self.position) - self.dense.shape[1]
        features = torch.cat([whitened @ self.dense, (self._sparse(n_sparse).T @ whitened.T).T], dim=1)
        maps = features.new_zeros(len(features), self.count_channels(n_places) * n_places)
        return maps.index_copy(1, self.position, features).view(len(features), -1, n_places)

    def _sparse(self, n_features: int) -> Float[Tensor, "neuron sparse_feature"]:
        at = torch.stack([self.neuron, self.feature])
        return torch.sparse_coo_tensor(at, self.value, (self.n_neurons, n_features), is_coalesced=True, check_invariants=False)


class ProjectiveFields(NeuralTower):
    r"""Multiply the response by the inverse noise covariance; each neuron then adds its spatially confined field to the map.

    With encoding weights :math:`W` (neuron × map) and noise covariance :math:`\Sigma` the map of a response is
    :math:`\Psi(r) = W^T \Sigma^{-1} r`. Its inner product with the map of an image is the term of the Gaussian log
    likelihood that depends on both response and image. The tower is linear: the map is the sum of one term per neuron.

    Gradients train ``log_gain`` alone, the natural logarithm of a factor on each neuron's whitened response, 0 at the start. Fields
    and noise are fitted in closed form; they have too many parameters for gradient training with a few thousand images.

    Parameters
    ----------
    n_neurons
        Number of neurons.
    map_shape
        (channels, height, width) of the feature maps.
    order
        Order of the local patterns that make up a field (`hermite_fields`).
    n_components
        Largest number of shared noise components.
    dropout
        Probability of silencing a neuron while training.
    n_typical
        Most images whose expected responses are kept.
    """

    has_fixed_buffers: ClassVar[bool] = True  # fitted in closed form; training leaves them as they are
    weights: Tensor  # of each neuron for each pattern and channel
    centre: Tensor  # row and column of each field in places of the map
    width: Tensor  # of all windows
    private: Tensor  # with the loadings the noise, see `LowRankNoise`
    loadings: Tensor
    typical: Tensor  # expected responses to training images, each predicted from the others; the first n_typical rows are in use
    n_typical: Tensor
    typical_presentations: Tensor  # behind the average response to a training image

    def __init__(
        self,
        n_neurons: int,
        map_shape: MapShape = (8, 9, 34),
        order: int = 2,
        n_components: int = 256,
        dropout: float = 0.0,
        n_typical: int = 2048,
    ) -> None:
        super().__init__(n_neurons, map_shape)
        self.order = order
        self.n_components, self.most_typical = n_components, n_typical
        self.dropout = NeuronDropout(dropout)
        self.log_gain = nn.Parameter(torch.zeros(n_neurons))
        self.register_buffer("weights", torch.zeros(n_neurons, count_fields(order), map_shape[0]))
        self.register_buffer("centre", torch.zeros(n_neurons, 2))
        self.register_buffer("width", torch.tensor(1.0))
        self.register_buffer("private", torch.ones(n_neurons))
        self.register_buffer("loadings", torch.zeros(n_neurons, n_components))
        self.register_buffer("typical", torch.zeros(0, n_neurons, dtype=torch.float16))
        self.register_buffer("n_typical", torch.tensor(0))
        self.register_buffer("typical_presentations", torch.tensor(1.0))
        self.beside = WeightsBeside(n_neurons)
        self.register_load_state_dict_post_hook(_fit_map)  # type: ignore[no-untyped-call]

    def read_beside(self, beside: WeightsBeside) -> None:
        """Take weights on features of further spaces; the map grows by their channels."""
        self.beside = beside.to(self.weights.device)
        _fit_map(self, None)

    def draw_parameters(self, generator: torch.Generator) -> None:
        """Draw small random fields at random places; a closed-form start replaces them."""
        _, height, width = self.map_shape
        for weights in (self.weights, self.beside.dense, self.beside.value):
            weights.normal_(0.0, 0.1, generator=generator)
        self.log_gain.zero_()
        extent = torch.tensor([height - 1.0, width - 1.0])
        self.centre.copy_((torch.rand(self.n_neurons, 2, generator=generator) * extent).round())

    def keep_typical(self, expected: Float[Tensor, "typical neuron"], n_presentations: float) -> None:
        """Keep what training images are expected to evoke, at most ``n_typical`` of them."""
        kept = expected[: self.most_typical]
        self.typical = kept.to(self.typical.dtype)
        self.n_typical.fill_(len(kept))
        self.typical_presentations.fill_(n_presentations)

    def take_noise(self, noise: LowRankNoise) -> None:
        """Take the noise of the neurons, without components that are 0."""
        self.private.copy_(noise.private)
        self.loadings = noise.loadings[:, noise.loadings.any(0)].contiguous()

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *others: Any) -> None:
        """Hold as many components of the noise and typical responses as were saved."""
        for name in ("loadings", "typical"):
            saved = state_dict.get(prefix + name)
            if saved is not None and saved.ndim == 2 and saved.shape != getattr(self, name).shape:
                setattr(self, name, getattr(self, name).new_empty(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *others)

    def whiten(self, responses: ResponseBatch) -> ResponseBatch:
        """Divide responses by the noise covariance and multiply them by the neurons' gains."""
        return LowRankNoise(self.private, self.loadings).divide(responses) * self.log_gain.exp()

    def forward(self, responses: ResponseBatch) -> FeatureMaps:
        """Return the sum of all neurons' fields, each times its whitened response."""
        self.check_input(responses)
        whitened = self.whiten(self.dropout(responses))
        cells, patterns = self._cells()
        terms = torch.stack([whitened[:, members] @ self.weights[members].flatten(1) for members in cells])
        # (cell, batch, basis × channel) → (cell × basis, batch, channel), the side that the patterns meet
        by_pattern = terms.reshape(*terms.shape[:2], *self.weights.shape[1:]).permute(0, 2, 1, 3).flatten(0, 1)
        n_local, height, width = self.weights.shape[2], *self.map_shape[1:]
        parts = torch.split(by_pattern, patterns.maps_at_once(n_local), dim=1)
        local = torch.cat([patterns.draw(part) for part in parts])
        if n_local == self.map_shape[0]:
            return local
        beside = self.beside.draw(whitened, height * width).view(len(whitened), -1, height, width)
        return torch.cat([local, beside], dim=1)

    def predict(self, maps: FeatureMaps) -> ResponseBatch:
        """Return each neuron's expected response to images with these maps (the adjoint of its projective field)."""
        cells, patterns = self._cells()
        n_local = self.weights.shape[2]
        parts = torch.split(maps[:, :n_local], patterns.maps_at_once(n_local))
        met = torch.cat([patterns.meet(part) for part in parts], dim=1)
        by_cell = met.reshape(len(cells), -1, len(maps), n_local).transpose(1, 2).flatten(2)
        # unbind: its gradient is one stack, that of indexing a zero tensor per cell
        predicted = [part @ self.weights[members].flatten(1).T for part, members in zip(by_cell.unbind(0), cells, strict=True)]
        local = torch.cat(predicted, dim=1)[:, torch.argsort(torch.cat(cells))]
        return local if n_local == maps.shape[1] else local + self.beside.predict(maps[:, n_local:])

    def _cells(self) -> tuple[list[Tensor], "_Patterns"]:
        """Return the members of each group of neurons with one centre, and the patterns of all groups."""
        centres, number = torch.unique(self.centre, dim=0, return_inverse=True)
        members = list(torch.split(torch.argsort(number, stable=True), torch.bincount(number).tolist()))
        return members, _Patterns.around(centres, self.map_shape, float(self.width), self.order)


def _fit_map(tower: ProjectiveFields, _: object) -> None:
    """Set the size of the map to that of the weights; called whenever weights are loaded."""
    height, width = tower.map_shape[1:]
    tower.map_shape = (tower.weights.shape[2] + tower.beside.count_channels(height * width), height, width)


@dataclass(frozen=True, eq=False)
class _Patterns:
    """The patterns of all cells, as products of one along columns (down) and one along rows (across): two small dense products.

    ``place`` says where the product of each pattern of each cell lies among all products of ``across`` and ``down``.
    """

    down: Float[Tensor, "row_pattern height"]
    across: Float[Tensor, "column_pattern width"]
    place: Int[Tensor, "cell_and_basis"]

    @classmethod
    def around(cls, centres: Float[Tensor, "cell 2"], map_shape: MapShape, width: float, order: int) -> "_Patterns":
        rows, row = torch.unique(centres[:, 0], return_inverse=True)
        columns, column = torch.unique(centres[:, 1], return_inverse=True)
        down, across = (
            axis_patterns(n, at, width, order).flatten(0, 1) for n, at in zip(map_shape[1:], (rows, columns), strict=True)
        )
        of_row, of_column = (torch.tensor(part, device=centres.device) for part in pattern_orders(order))
        row, column = (number[:, None] * (order + 1) for number in (row, column))
        return cls(down, across, ((column + of_column) * len(down) + row + of_row).flatten())

    def maps_at_once(self, n_channels: int) -> int:
        """Return how many maps fit into the memory that may be taken."""
        return max(1, MOST_NUMBERS // (len(self.down) * len(self.across) * n_channels))

    def meet(self, maps: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "cell_and_basis batch channel"]:
        """Return the inner products of patterns and maps."""
        by_column = (self.across @ maps.permute(3, 2, 0, 1).flatten(1)).reshape(len(self.across), maps.shape[2], -1)
        return (self.down @ by_column).flatten(0, 1)[self.place].reshape(-1, *maps.shape[:2])

    def draw(self, by_pattern: Float[Tensor, "cell_and_basis batch channel"]) -> Float[Tensor, "batch channel height width"]:
        """Return the sums of patterns, each times its number (the adjoint of `meet`)."""
        values = by_pattern.flatten(1)
        products = values.new_zeros(len(self.across) * len(self.down), values.shape[1])
        products = products.index_copy(0, self.place, values).reshape(len(self.across), len(self.down), -1)
        by_column = self.down.T @ products
        places = (self.across.T @ by_column.flatten(1)).reshape(-1, by_column.shape[1], *by_pattern.shape[1:])
        return places.permute(2, 3, 1, 0)
