"""A neural tower in which each neuron adds its own projective field to the feature maps."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dina.towers.field_basis import count_fields, hermite_fields
from dina.towers.neural.shared_noise import SharedNoise
from dina.towers.neuron_dropout import NeuronDropout
from dina.towers.tower import MapShape, NeuralTower


class ProjectiveFields(NeuralTower):
    r"""Divide the response by the shared noise, then let each neuron add its field, confined to a place.

    With encoding weights :math:`W` (neuron × map) and noise covariance :math:`\Sigma` the map of a response is
    :math:`\Psi(r) = W^T \Sigma^{-1} r`, so that its inner product with an image's map is the data term of the
    Gaussian log likelihood. The tower is linear: the map is the sum of one term per neuron.

    Parameters
    ----------
    n_neurons
        Number of neurons.
    map_shape
        (channels, height, width) of the feature maps.
    order
        Order of the local patterns that make up a field (`hermite_fields`).
    n_components
        Number of shared noise components.
    dropout
        Probability of silencing a neuron while training.
    n_typical
        Most images whose expected responses are kept.

    Attributes
    ----------
    log_gain
        Natural logarithm of a factor on each neuron's whitened response, shape ``(n_neurons,)``; 0 at the start. It
        alone is trained by gradients: fields and noise have a closed form, and too many numbers for a few thousand
        images.
    weights
        Of each neuron for each pattern and channel, shape ``(n_neurons, n_basis, n_channels)``.
    centre, width
        Row and column of each field in places of the map, shape ``(n_neurons, 2)``, and the common window width.
    private, loadings
        The noise, see `SharedNoise`.
    typical
        Expected responses to training images, each predicted from the others, in half precision; the first
        ``n_typical`` rows are in use.
    typical_presentations
        How many presentations the average response to a training image rests on.
    """

    weights: Tensor
    centre: Tensor
    width: Tensor
    private: Tensor
    loadings: Tensor
    typical: Tensor
    n_typical: Tensor
    typical_presentations: Tensor

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
        self.dropout = NeuronDropout(dropout)
        self.log_gain = nn.Parameter(torch.zeros(n_neurons))
        self.register_buffer("weights", torch.zeros(n_neurons, count_fields(order), map_shape[0]))
        self.register_buffer("centre", torch.zeros(n_neurons, 2))
        self.register_buffer("width", torch.tensor(1.0))
        self.register_buffer("private", torch.ones(n_neurons))
        self.register_buffer("loadings", torch.zeros(n_neurons, n_components))
        self.register_buffer("typical", torch.zeros(n_typical, n_neurons, dtype=torch.float16))
        self.register_buffer("n_typical", torch.tensor(0))
        self.register_buffer("typical_presentations", torch.tensor(1.0))

    def draw_parameters(self, generator: torch.Generator) -> None:
        """Draw small random fields at random places; a closed-form start replaces them."""
        _, height, width = self.map_shape
        self.weights.normal_(0.0, 0.1, generator=generator)
        self.log_gain.zero_()
        extent = torch.tensor([height - 1.0, width - 1.0])
        self.centre.copy_((torch.rand(self.n_neurons, 2, generator=generator) * extent).round())

    def keep_typical(self, expected: Float[Tensor, "typical neuron"], n_presentations: float) -> None:
        """Keep what training images are expected to evoke, as many as there is room for."""
        kept = expected[: len(self.typical)]
        self.typical[: len(kept)] = kept.to(self.typical.dtype)
        self.n_typical.fill_(len(kept))
        self.typical_presentations.fill_(n_presentations)

    def whiten(self, responses: Float[Tensor, "batch neuron"]) -> Float[Tensor, "batch neuron"]:
        """Divide responses by the noise covariance and multiply them by the neurons' gains."""
        return SharedNoise(self.private, self.loadings).divide(responses) * self.log_gain.exp()

    def forward(self, responses: Float[Tensor, "batch neuron"]) -> Float[Tensor, "batch map_channel map_height map_width"]:
        """Return the sum of all neurons' fields, each times its whitened response."""
        self.check_input(responses)
        whitened = self.whiten(self.dropout(responses))
        cells, fields = self._cells()
        terms = torch.stack([whitened[:, members] @ self.weights[members].flatten(1) for members in cells])
        # (cell, batch, basis × channel) → (cell × basis, batch × channel), the side that the sparse patterns meet
        by_pattern = terms.reshape(*terms.shape[:2], *self.weights.shape[1:]).permute(0, 2, 1, 3).flatten(0, 1).flatten(1)
        places = torch.sparse.mm(fields.transpose(0, 1), by_pattern)
        return places.unflatten(1, (len(responses), -1)).permute(1, 2, 0).unflatten(2, self.map_shape[1:])

    def predict(self, maps: Float[Tensor, "batch map_channel map_height map_width"]) -> Float[Tensor, "batch neuron"]:
        """Return each neuron's expected response to images with these maps (the adjoint of its projective field)."""
        cells, fields = self._cells()
        by_place = maps.flatten(2).permute(2, 0, 1).flatten(1)
        patterns = torch.sparse.mm(fields, by_place).unflatten(1, maps.shape[:2]).unflatten(0, (len(cells), -1))
        by_cell = patterns.transpose(1, 2).flatten(2)
        # unbind: its gradient is one stack, that of indexing a zero tensor per cell
        predicted = [part @ self.weights[members].flatten(1).T for part, members in zip(by_cell.unbind(0), cells, strict=True)]
        order = torch.argsort(torch.cat(cells))
        return torch.cat(predicted, dim=1)[:, order]

    def _cells(self) -> tuple[list[Tensor], Tensor]:
        """Return the members of each group of neurons with one centre, and the patterns of all groups (sparse)."""
        centres, number = torch.unique(self.centre, dim=0, return_inverse=True)
        members = list(torch.split(torch.argsort(number, stable=True), torch.bincount(number).tolist()))
        _, height, width = self.map_shape
        fields = hermite_fields((height, width), centres, float(self.width), self.order)
        return members, fields.flatten(0, 1).flatten(1).to_sparse()
