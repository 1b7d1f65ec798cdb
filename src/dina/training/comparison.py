"""Comparisons: from the maps of responses and of images to one score for every pair."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dina.checks import DataError
from dina.models.encoding import log_evidence
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.models.towers.tower import NeuralTower

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.001, 100.0
NORM_FLOOR = 1e-6
MOST_VALUES = 2**25  # of typical responses that are compared at a time


class Comparison(nn.Module):
    """Turns two sets of feature maps into the score matrix; may hold weights."""

    def forward(
        self,
        neural_maps: Float[Tensor, "query channel height width"],
        image_maps: Float[Tensor, "gallery channel height width"],
        n_presentations: Float[Tensor, "query"],
    ) -> Float[Tensor, "query gallery"]:
        """Return the score of each image for each response, larger for a better fit, in single precision or better."""
        raise NotImplementedError

    def read_images(self, image_maps: Float[Tensor, "gallery channel height width"]) -> Float[Tensor, "gallery ..."]:
        """Return what `compare` needs of images: their maps, unless less is enough."""
        return image_maps.float()

    def read_responses(self, tower: NeuralTower, responses: Float[Tensor, "query neuron"]) -> Float[Tensor, "query ..."]:
        """Return what `compare` needs of responses: their maps, unless less is enough."""
        return tower(responses).float()

    def compare(
        self,
        of_responses: Float[Tensor, "query ..."],
        of_images: Float[Tensor, "gallery ..."],
        n_presentations: Float[Tensor, "query"],
    ) -> Float[Tensor, "query gallery"]:
        """Return what `forward` does, from what was read of responses and of images."""
        return self(of_responses, of_images, n_presentations)

    def evidence(
        self, responses: Float[Tensor, "query neuron"], n_presentations: Float[Tensor, "query"]
    ) -> Float[Tensor, "query"]:
        """Return the term of each response's scores that is the same for all images; without it, responses can be compared."""
        return responses.new_zeros(len(responses))

    def set_temperature_learnt(self, is_learnt: bool) -> None:
        """Choose whether training adjusts the temperature, or scale, of the scores; no effect without one."""

    def bound_reached(self) -> str:
        """Return a warning where training drove the temperature to an end of its range; else ""."""
        return ""


class CosineComparison(Comparison):
    """Cosine of the flattened maps, divided by a temperature.

    Parameters
    ----------
    temperature
        In [0.001, 100]; published: 0.01.
    is_learnt
        Whether training adjusts the temperature, kept within the same range.
    is_centred
        Whether each map's mean is subtracted first, which makes the cosine a Pearson correlation.

    Raises
    ------
    DataError
        If the temperature is outside its range or not a number.

    Examples
    --------
    >>> maps = torch.eye(2).reshape(2, 1, 1, 2)
    >>> CosineComparison(0.5)(maps, maps, torch.ones(2)).round(decimals=3)
    tensor([[2., 0.],
            [0., 2.]])
    """

    def __init__(self, temperature: float = 0.01, *, is_learnt: bool = False, is_centred: bool = False) -> None:
        super().__init__()
        if not LOWEST_TEMPERATURE <= temperature <= HIGHEST_TEMPERATURE:
            raise DataError(
                f"temperature must be between {LOWEST_TEMPERATURE} and {HIGHEST_TEMPERATURE:g}; got {temperature}."
                " 0.01 is the published value."
            )
        self.is_centred = is_centred
        self.initial = math.log(temperature)
        self.log_temperature = nn.Parameter(torch.tensor(self.initial), requires_grad=is_learnt)

    def draw_parameters(self, generator: torch.Generator) -> None:
        """Set the temperature to its start."""
        self.log_temperature.fill_(self.initial)

    def set_temperature_learnt(self, is_learnt: bool) -> None:
        """Choose whether training adjusts the temperature."""
        self.log_temperature.requires_grad_(is_learnt)

    def bound_reached(self) -> str:
        """Return a warning where training drove the temperature to an end of its range; else ""."""
        learnt, used = float(self.log_temperature.detach()), float(self.temperature.detach().log())
        if not self.log_temperature.requires_grad or abs(learnt - used) < 1e-6:
            return ""
        return (
            f"The learnt temperature reached an end of its range and was held at {math.exp(used):.3g}; it would have become"
            f" {math.exp(learnt):.3g}. Training may have memorised the training images: try fewer epochs or a fixed temperature."
        )

    @property
    def temperature(self) -> Float[Tensor, ""]:
        """The temperature in use, dimensionless."""
        return self.log_temperature.clamp(math.log(LOWEST_TEMPERATURE), math.log(HIGHEST_TEMPERATURE)).exp()

    def forward(
        self,
        neural_maps: Float[Tensor, "query channel height width"],
        image_maps: Float[Tensor, "gallery channel height width"],
        n_presentations: Float[Tensor, "query"],
    ) -> Float[Tensor, "query gallery"]:
        """Return cosine / temperature."""
        with torch.autocast(neural_maps.device.type, enabled=False):  # half precision would overflow or tie
            return self.direction_of(neural_maps) @ self.direction_of(image_maps).T / self.temperature

    def direction_of(self, maps: Float[Tensor, "map ..."]) -> Float[Tensor, "map feature"]:
        """Return flattened maps at unit length, after subtracting their means where it is centred."""
        flat = maps.flatten(1)
        flat = flat if flat.dtype == torch.float64 else flat.float()
        if self.is_centred:
            flat = flat - flat.mean(1, keepdim=True)
        # the floor is inside the root: a map of zeros has cosine 0 and a finite gradient
        return flat / (flat.square().sum(1, keepdim=True) + NORM_FLOOR).sqrt()


class LikelihoodComparison(Comparison):
    r"""The Gaussian log likelihood of a response given an image, up to terms of the response alone.

    With a neural map :math:`\Psi(r) = W^T \Sigma^{-1} r` and an image map :math:`\varphi` it is
    :math:`\langle \Psi, \varphi \rangle - \tfrac12 \lVert W \varphi \rVert^2_{\Sigma^{-1}}`, times a scale.
    An image that should drive the population strongly fits only a strong response.

    Parameters
    ----------
    neural_tower
        Its fields predict the response to an image from its map.
    """

    def __init__(self, neural_tower: ProjectiveFields) -> None:
        super().__init__()
        self._tower = (neural_tower,)  # in a tuple: its weights belong to the towers, not to the comparison
        self.log_scale = nn.Parameter(torch.zeros(()))

    def draw_parameters(self, generator: torch.Generator) -> None:
        """Set the scale to 1."""
        self.log_scale.zero_()

    def set_temperature_learnt(self, is_learnt: bool) -> None:
        """Choose whether training adjusts the scale."""
        self.log_scale.requires_grad_(is_learnt)

    def forward(
        self,
        neural_maps: Float[Tensor, "query channel height width"],
        image_maps: Float[Tensor, "gallery channel height width"],
        n_presentations: Float[Tensor, "query"],
    ) -> Float[Tensor, "query gallery"]:
        """Return the scaled log likelihood; the order of candidates does not depend on the number of presentations."""
        tower = self._tower[0]
        with torch.autocast(neural_maps.device.type, enabled=False):
            evoked = tower.predict(image_maps.float())
            norm = (evoked * tower.whiten(evoked)).sum(1)
            return self.log_scale.exp() * (neural_maps.float().flatten(1) @ image_maps.float().flatten(1).T - 0.5 * norm)

    def read_images(self, image_maps: Float[Tensor, "gallery channel height width"]) -> Float[Tensor, "gallery neuron"]:
        """Return the responses that images should evoke: far fewer numbers than their maps."""
        with torch.autocast(image_maps.device.type, enabled=False):
            return self._tower[0].predict(image_maps.float())

    def read_responses(self, tower: NeuralTower, responses: Float[Tensor, "query neuron"]) -> Float[Tensor, "query neuron"]:
        """Return whitened responses: maps of responses are sums of fields, and fields times maps of images are evoked responses."""
        return self._tower[0].read(responses).float()

    def compare(
        self,
        of_responses: Float[Tensor, "query neuron"],
        of_images: Float[Tensor, "gallery neuron"],
        n_presentations: Float[Tensor, "query"],
    ) -> Float[Tensor, "query gallery"]:
        """Return the scaled log likelihood, from whitened and from evoked responses."""
        with torch.autocast(of_images.device.type, enabled=False):
            norm = (of_images * self._tower[0].whiten(of_images)).sum(1)
            return self.log_scale.exp() * (of_responses @ of_images.T - 0.5 * norm)

    def evidence(
        self, responses: Float[Tensor, "query neuron"], n_presentations: Float[Tensor, "query"]
    ) -> Float[Tensor, "query"]:
        """Return the scaled log probability of each response, averaged over the images that the tower keeps as typical."""
        tower = self._tower[0]
        n_typical = int(tower.n_typical)
        if n_typical == 0:
            return super().evidence(responses, n_presentations)
        whitened, parts = tower.whiten(responses.float()), []
        # some at a time: of many neurons, typical responses take much memory
        for some in torch.split(tower.typical[:n_typical], max(1, MOST_VALUES // tower.n_neurons)):
            typical = some.float()
            parts.append(whitened @ typical.T - 0.5 * (typical * tower.whiten(typical)).sum(1))
        return self.log_scale.exp() * log_evidence(torch.cat(parts, dim=1), n_presentations / tower.typical_presentations)
