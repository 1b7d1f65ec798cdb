"""A neural tower in which each neuron adds its own projective field to the feature maps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dina.models.noise import LowRankNoise
from dina.models.sparse_matrix import sparse_matrix
from dina.models.towers.field_basis import axis_patterns, count_fields, pattern_orders
from dina.models.towers.fitted_buffers import FittedBuffers
from dina.models.towers.tower import FeatureMaps, MapShape, NeuralTower, NeuronDropout, ResponseBatch

MOST_NUMBERS = 2**21  # of sums over rows of maps held at a time


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
        return sparse_matrix(self.neuron, self.feature, self.value, (self.n_neurons, n_features), is_coalesced=True)


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
        self.register_buffer("weights", _zeros(n_neurons, count_fields(order), map_shape[0]))
        self.register_buffer("centre", torch.zeros(n_neurons, 2))
        self.register_buffer("width", torch.tensor(1.0))
        self.register_buffer("private", torch.ones(n_neurons))
        self.register_buffer("loadings", _zeros(n_neurons, n_components))
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

    def forget_fields(self) -> None:
        """Set the weights of all fields to 0, which take no memory until others are written."""
        self.weights = _zeros(*self.weights.shape).to(self.weights)

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
        whitened = self.read(responses)
        local = _apply(self._fields(), "draw", whitened)
        if self.weights.shape[2] == self.map_shape[0]:
            return local
        height, width = self.map_shape[1:]
        beside = self.beside.draw(whitened, height * width).view(len(whitened), -1, height, width)
        return torch.cat([local, beside], dim=1)

    def read(self, responses: ResponseBatch) -> ResponseBatch:
        """Return whitened responses; their products with what images evoke are the products of both maps."""
        self.check_input(responses)
        return self.whiten(self.dropout(responses))

    def predict(self, maps: FeatureMaps) -> ResponseBatch:
        """Return each neuron's expected response to images with these maps (the adjoint of its projective field)."""
        n_local = self.weights.shape[2]
        local = _apply(self._fields(), "predict", maps[:, :n_local])
        return local if n_local == maps.shape[1] else local + self.beside.predict(maps[:, n_local:])

    def _fields(self) -> "_Fields":
        return _Fields.of(self.centre, self.weights, self.map_shape, float(self.width), self.order)


def _zeros(*shape: int) -> Tensor:
    """Return zeros that take memory only where other numbers are written: of those of 100,000 neurons most are replaced soon."""
    return torch.from_numpy(np.zeros(shape, dtype=np.float32))


def _fit_map(tower: ProjectiveFields, _: object) -> None:
    """Set the size of the map to that of the weights; called whenever weights are loaded."""
    height, width = tower.map_shape[1:]
    tower.map_shape = (tower.weights.shape[2] + tower.beside.count_channels(height * width), height, width)


@dataclass(frozen=True, eq=False)
class _Cell:
    """Neurons whose fields have one centre."""

    members: Int[Tensor, "member"]
    weights: Float[Tensor, "basis member channel"]  # patterns in order of their order down, then across
    columns: slice  # of the map, that the patterns reach
    across: Float[Tensor, "order_and_one reached"]


@dataclass(frozen=True, eq=False)
class _Row:
    """Cells whose centres are in one row of the map."""

    rows: slice  # of the map, that the patterns reach
    down: Float[Tensor, "order_and_one reached"]
    cells: list[_Cell]


@dataclass(frozen=True, eq=False)
class _Fields:
    """The fields of all neurons. A pattern is a product of one along columns (down) and one along rows (across).

    Few maps are worked on at a time, so that sums over rows, from which all cells of a row go on, stay in the processor's cache.
    """

    n_neurons: int
    map_shape: MapShape
    order: int
    rows: list[_Row]

    @classmethod
    def of(
        cls,
        centre: Float[Tensor, "neuron 2"],
        weights: Float[Tensor, "neuron basis channel"],
        map_shape: MapShape,
        width: float,
        order: int,
    ) -> "_Fields":
        centres, number = torch.unique(centre, dim=0, return_inverse=True)
        members = torch.split(torch.argsort(number, stable=True), torch.bincount(number).tolist())
        down, across = (axis_patterns(n, centres[:, axis], width, order) for axis, n in enumerate(map_shape[1:]))
        orders = list(zip(*pattern_orders(order), strict=True))
        by_down = torch.tensor(sorted(range(len(orders)), key=orders.__getitem__), device=weights.device)[:, None]
        rows: dict[float, _Row] = {}
        cells = enumerate(zip(centres[:, 0].tolist(), _reached(down), _reached(across), members, strict=True))
        for cell, (at, of_rows, of_columns, some) in cells:
            row = rows.setdefault(at, _Row(of_rows, down[cell, :, of_rows], []))
            # from the weights at once: a copy of them all, put in order, would be as large as they are
            row.cells.append(_Cell(some, weights[some, by_down], of_columns, across[cell, :, of_columns]))
        return cls(len(centre), (weights.shape[2], *map_shape[1:]), order, list(rows.values()))

    def predict(self, maps: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch neuron"]:
        """Return the inner products of all neurons' fields with maps."""
        parts = torch.split(maps, self._maps_at_once())
        return torch.cat([self._predict_some(part) for part in parts]) if parts else maps.new_zeros(0, self.n_neurons)

    def _predict_some(self, maps: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch neuron"]:
        n_maps, n_channels, height, width = maps.shape
        found = maps.new_empty(self.n_neurons, n_maps)
        by_place = maps.flatten(0, 1).flatten(1).T.contiguous().view(height, -1)
        met = maps.new_empty(count_fields(self.order), n_maps * n_channels)
        for row in self.rows:
            along = (row.down @ by_place[row.rows]).view(self.order + 1, width, -1)
            for cell in row.cells:
                for down, some in enumerate(self._by_down(met)):
                    torch.mm(cell.across[: len(some)], along[down, cell.columns], out=some)
                found[cell.members] = torch.bmm(cell.weights, met.view(-1, n_maps, n_channels).mT).sum(0)
        return found.T

    def draw(self, whitened: Float[Tensor, "batch neuron"]) -> Float[Tensor, "batch channel height width"]:
        """Return the sum of all neurons' fields, each times its number (the adjoint of `predict`)."""
        parts = torch.split(whitened, self._maps_at_once())
        return torch.cat([self._draw_some(part) for part in parts]) if parts else whitened.new_zeros(0, *self.map_shape)

    def _draw_some(self, whitened: Float[Tensor, "batch neuron"]) -> Float[Tensor, "batch channel height width"]:
        n_channels, height, width = self.map_shape
        by_place = whitened.new_zeros(height, width * len(whitened) * n_channels)
        along = whitened.new_empty(self.order + 1, width, len(whitened) * n_channels)
        for row in self.rows:
            along.zero_()
            for cell in row.cells:
                fields = torch.matmul(whitened[:, cell.members], cell.weights).flatten(1)
                for down, some in enumerate(self._by_down(fields)):
                    along[down, cell.columns].addmm_(cell.across[: len(some)].T, some)
            by_place[row.rows].addmm_(row.down.T, along.flatten(1))
        return by_place.view(height * width, -1).T.contiguous().view(-1, *self.map_shape)

    def _by_down(self, patterns: Float[Tensor, "basis ..."]) -> tuple[Tensor, ...]:
        """Split what belongs to all patterns by their order down; of the first order there are most."""
        return torch.split(patterns, [self.order + 1 - down for down in range(self.order + 1)])

    def _maps_at_once(self) -> int:
        n_channels, _, width = self.map_shape
        return max(1, MOST_NUMBERS // (n_channels * width * (self.order + 1)))


def _reached(patterns: Float[Tensor, "cell order_and_one place"]) -> list[slice]:
    """Return the places where the patterns of each cell are not 0, which are next to each other."""
    is_reached = patterns[:, 0] > 0
    first, n_reached = is_reached.int().argmax(1).tolist(), is_reached.sum(1).tolist()
    return [slice(start, start + n) for start, n in zip(first, n_reached, strict=True)]


class _Adjoint(torch.autograd.Function):
    """`predict` or `draw` of some fields; the gradient of each is the other, so that nothing has to be kept."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, fields: _Fields, name: str) -> Tensor:
        ctx.fields, ctx.other = fields, "draw" if name == "predict" else "predict"
        with torch.autocast(values.device.type, enabled=False):
            found: Tensor = getattr(fields, name)(values.to(fields.rows[0].down.dtype))
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _apply(ctx.fields, ctx.other, gradient), None, None


def _apply(fields: _Fields, name: str, values: Tensor) -> Tensor:
    found: Tensor = _Adjoint.apply(values, fields, name)  # type: ignore[no-untyped-call]
    return found
