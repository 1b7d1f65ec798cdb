"""A network trained on the recording itself, as a feature space: whatever its neurons read that no given channel holds."""

from copy import deepcopy
from typing import ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dina.models.field_centres import estimate_centres, move_places
from dina.models.spaces.components import ComponentSpace, in_chunks
from dina.models.spaces.space import SpaceFit
from dina.models.towers.image.separable_pathways import SMALLEST_IMAGE, SeparablePathways
from dina.models.towers.neural.placed_fields import PlacedFields
from dina.models.towers.tower import MapShape, initialise
from dina.progress import track
from dina.randomness import seed_for

N_NETWORKS = 4
N_CHANNELS = 32
N_EPOCHS = 24
BATCH_SIZE = 32
HIGHEST_RATE = 5e-3
WEIGHT_DECAY = 0.05
STOPPING_SHARE = 8  # one in so many of the images that a network learns from decides which of its epochs is kept


class RecordingNetwork(ComponentSpace):
    """The mean prediction of four networks, each trained on three quarters of the training images.

    A network is the image tower `SeparablePathways`, read by every neuron at one place that starts at the estimated centre of its
    field and is learnt (`PlacedFields.predict`). It learns averaged responses by squared error, with a rate that rises and falls; the
    epoch whose predictions of an eighth of its images correlate best with the responses is kept. The quarter that a network has not
    seen gives the left-out predictions. All four predict new images; each started from other random weights.

    It takes minutes where other spaces take seconds, and is fitted only where it is named.

    References
    ----------
    Lurz et al. (2021), Generalization in data-driven models of primary visual cortex. https://doi.org/10.1101/2020.10.05.326256
    """

    label = "network trained on the recording"
    is_by_default: ClassVar[bool] = False

    weight: Tensor  # network × neuron × channel
    place: Tensor  # network × neuron × 2
    log_width: Tensor  # network × neuron

    def __init__(self, image_shape: MapShape, map_shape: MapShape) -> None:
        super().__init__(image_shape, map_shape)
        self.networks = nn.ModuleList(SeparablePathways(image_shape, N_CHANNELS) for _ in range(N_NETWORKS))
        self.networks.requires_grad_(False)
        self.register_buffer("weight", torch.zeros(N_NETWORKS, 0, N_CHANNELS))
        self.register_buffer("place", torch.zeros(N_NETWORKS, 0, 2))
        self.register_buffer("log_width", torch.zeros(N_NETWORKS, 0))
        self.eval()

    def train(self, is_training: bool = True) -> "RecordingNetwork":
        """Stay as fitted, also while the towers around it are trained."""
        return super().train(False)

    @classmethod
    def explain_absence(cls, image_shape: MapShape) -> str:
        """Return why images are too small for the network; "" if they are not."""
        is_large = min(image_shape[1:]) >= SMALLEST_IMAGE
        return "" if is_large else f"A network needs images with at least {SMALLEST_IMAGE} pixels along each side."

    def fit(self, images: Tensor, maps: Tensor, responses: Float[Tensor, "stimulus neuron"]) -> SpaceFit:
        """Train the networks, each without a quarter of the images, and learn the components of their mean prediction."""
        generator = torch.Generator().manual_seed(seed_for(0, "images of networks"))
        part = torch.randperm(len(images), generator=generator) % N_NETWORKS
        predicted, fitted = torch.empty_like(responses), []
        for number in track(range(N_NETWORKS), "Training networks on the recording"):
            others, held_out = (torch.where(is_in)[0].to(maps.device) for is_in in (part != number, part == number))
            centres = estimate_centres(maps[others], responses[others])
            places = move_places(centres, maps.shape[2:], self._network(0).map_shape[1:])
            trained = _train(number, self.image_shape, images[others].to(maps.device), responses[others], places)
            self._network(number).load_state_dict(trained[0].state_dict())
            fitted.append(trained[1])
            predicted[held_out] = _predict(*trained, images[held_out].to(maps.device))
        with torch.no_grad():
            self.weight = torch.stack([each.weight for each in fitted])
            self.place = torch.stack([each.place for each in fitted])
            self.log_width = torch.stack([each.log_width for each in fitted])
            return self._take_components(in_chunks(self.raw, images, maps), predicted)

    @torch.no_grad()
    def raw(self, images: Tensor, maps: Tensor) -> Float[Tensor, "batch neuron"]:
        """Return the mean over networks of what they predict, up to a constant for each neuron."""
        total = torch.zeros(len(images), self.weight.shape[1], device=images.device)
        for number in range(N_NETWORKS):
            total += _predict(self._network(number), self._fields(number), images)
        return total / N_NETWORKS

    def _take_components(self, raw: Float[Tensor, "stimulus neuron"], predicted: Tensor) -> SpaceFit:
        """Keep the largest components of the predictions; neurons read from them what was predicted."""
        found = self.find_components(raw)
        return SpaceFit(self.directions * found.scale**2, predicted, (raw - self.mean) @ self.directions)

    def _network(self, number: int) -> SeparablePathways:
        return cast(SeparablePathways, self.networks[number])

    def _fields(self, number: int) -> PlacedFields:
        fields = PlacedFields(self.weight.shape[1], self._network(number).map_shape).to(self.weight.device)
        for name in ("weight", "place", "log_width"):
            getattr(fields, name).copy_(getattr(self, name)[number])
        return fields


@torch.no_grad()
def _predict(network: SeparablePathways, fields: PlacedFields, images: Tensor) -> Float[Tensor, "stimulus neuron"]:
    return torch.cat([fields.predict(network(some)) for some in torch.split(images, 4 * BATCH_SIZE)])


@torch.enable_grad()
def _train(
    number: int, image_shape: MapShape, images: Tensor, responses: Tensor, places: Float[Tensor, "neuron 2"]
) -> tuple[SeparablePathways, PlacedFields]:
    """Return a network and its fields, as they were after the epoch that predicted the images kept apart best."""
    generator = torch.Generator().manual_seed(seed_for(number, "network on the recording"))
    network = SeparablePathways(image_shape, N_CHANNELS)
    fields = PlacedFields(responses.shape[1], network.map_shape)
    parts = nn.ModuleList([network, fields])
    initialise(parts, generator)
    parts.to(images.device)
    fields.set_places(places)
    order = torch.randperm(len(images), generator=generator)
    n_apart = max(2, len(images) // STOPPING_SHARE)
    apart, learnt = (some.to(images.device) for some in (order[:n_apart], order[n_apart:]))
    offset = nn.Parameter(responses[learnt].mean(0))
    with torch.no_grad():
        fields.weight.mul_(0.1)  # the first predictions should be small beside the responses
    optimiser = torch.optim.AdamW([*parts.parameters(), offset], lr=HIGHEST_RATE, weight_decay=WEIGHT_DECAY)
    n_batches = max(1, len(learnt) // BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, HIGHEST_RATE, total_steps=N_EPOCHS * n_batches)
    best, kept = -2.0, deepcopy(parts.state_dict())
    for _ in range(N_EPOCHS):
        parts.train()
        shuffled = learnt[torch.randperm(len(learnt), generator=generator).to(learnt.device)]
        for rows in torch.tensor_split(shuffled, n_batches):
            optimiser.zero_grad(set_to_none=True)
            error = fields.predict(network(images[rows])) + offset - responses[rows]
            error.square().mean().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        parts.eval()
        agreement = _mean_correlation(_predict(network, fields, images[apart]), responses[apart])
        if agreement > best:
            best, kept = agreement, deepcopy(parts.state_dict())
    parts.load_state_dict(kept)
    return network, fields


def _mean_correlation(first: Float[Tensor, "stimulus neuron"], second: Float[Tensor, "stimulus neuron"]) -> float:
    first, second = first - first.mean(0), second - second.mean(0)
    return float(nn.functional.cosine_similarity(first, second, dim=0).mean())
