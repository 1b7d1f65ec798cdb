"""Maps of images and of responses in one form, so that they can be compared."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from dina.analyses.separable_fields import SeparableFields
from dina.data.pairs import Pairs
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.models.towers.tower import ImageTower
from dina.randomness import generator_for
from dina.shapes import ContrastImages, StimulusResponses
from dina.training.aligned_towers import IMAGES_AT_ONCE, AlignedTowers
from dina.training.comparison import LikelihoodComparison

Found = TypeVar("Found")
Maps = Float32[np.ndarray, "stimulus map_channel map_height map_width"]


def channel_names(tower: ImageTower) -> tuple[str, ...]:
    """Name the channels that carry structure; the constant channels of contrast at the end of a Gabor tower do not.

    Examples
    --------
    >>> from dina.models.towers.image import TwoPathway
    >>> channel_names(TwoPathway((1, 16, 16), n_channels=2))
    ('channel 1', 'channel 2')
    """
    if not isinstance(tower, GaborEnergy):
        return tuple(f"channel {number + 1}" for number in range(tower.map_shape[0]))
    names = []
    for channel in tower.channels:
        place = f" {channel.plane}" if tower.image_shape[0] == 3 else ""
        if channel.kind == "pooled":
            names.append(f"pooled{place}" if place else "luminance")
            continue
        norm = "" if not channel.is_normalised else " normalised" if channel.kind == "energy" else ""
        names.append(f"{channel.kind}{norm}{place} {channel.wavelength_px} px {channel.orientation_deg:g}°")
    return tuple(names)


@dataclass(frozen=True, eq=False)
class _Side:
    """Mean of each place and deviation of each channel of one tower's maps."""

    mean: Float32[np.ndarray, "channel height width"]
    deviation: Float32[np.ndarray, "channel"]

    def apply(self, maps: Maps) -> Maps:
        maps -= self.mean
        maps /= self.deviation[:, None, None]
        return maps


class ComparableMaps:
    r"""Maps of both towers as deviations from what is common to all images, in units of each channel's deviation.

    The mean over **training** images is subtracted at every place of each tower's maps, so that a mean map that both
    towers share counts for nothing. Maps of towers that meet in a cosine can be compared as they are. Where the towers
    meet in a likelihood, the neural map :math:`\Psi(r) = W^\top\Sigma^{-1}r` is evidence about the image's map
    :math:`\varphi`, in other units. The **posterior mean** of :math:`\varphi` is then compared instead; ``form`` says which.

    Means and the prior are learnt from at most ``n_images`` of ``train``. The deviation of neural maps is learnt from ``validation``;
    on training responses, which the towers were fitted on, it would be too large.

    Notes
    -----
    With training maps :math:`\Phi` as rows, centred, the prior is
    :math:`\varphi \sim \mathcal{N}(0, \Phi^\top\Phi / m)`. Because its posterior mean lies in the span of the training
    maps, it needs no matrix of places or neurons: with :math:`E = \Phi W` what training images evoke,
    :math:`\hat\varphi = \Phi^\top (E \Sigma^{-1} E^\top + m I / s)^{-1} E \Sigma^{-1} r`, where :math:`s` is the scale of the
    scores.
    """

    def __init__(self, towers: AlignedTowers, train: Pairs, validation: Pairs, seed: int, n_images: int = 500) -> None:
        chosen = np.sort(generator_for(seed, "images of comparable maps").permutation(train.n_stimuli)[:n_images])
        self._towers = towers
        self._images = train.images[chosen]
        self._fields: ProjectiveFields | None = None
        self.channels = channel_names(towers.image_tower)
        self.form = "maps as the neural tower gives them"
        n = len(self.channels)
        neural, comparison = towers.neural_tower, towers.comparison
        if isinstance(comparison, LikelihoodComparison) and isinstance(neural, ProjectiveFields):
            self.form = "posterior mean of the image's map, given the response"
            self._fields = neural
            fields = SeparableFields(neural)
            variance, evoked = self._read_training_maps(
                lambda maps: fields.predict(torch.from_numpy(maps).to(towers.device), slice(None))
            )
            self._evoked = torch.cat(evoked) - torch.cat(evoked).mean(0)
            self._posterior = _posterior(self._evoked, neural, comparison)
            self._rest = train.averaged().mean(axis=0)
            neural_mean = np.zeros_like(self._mean)
        else:
            variance, _ = self._read_training_maps(lambda maps: None)
            neural_mean = self._raw_neural(train.averaged()[chosen]).mean(axis=0)
        held_out = self._raw_neural(validation.averaged())[:, :n] - neural_mean[:n]
        self._image = _Side(self._mean[:n], _deviation(variance[:n]))
        self._neural = _Side(neural_mean[:n], _deviation(np.square(held_out).mean(axis=(0, 2, 3))))

    def of_images(self, images: ContrastImages) -> Maps:
        """Return the maps of images, standardised, shape ``(n_images, n_channels, height, width)``."""
        return self.standardise(self._towers.encode_images(images))

    def standardise(self, maps: Float32[np.ndarray, "stimulus tower_channel map_height map_width"]) -> Maps:
        """Return maps of the image tower, whole or masked, with only the channels of structure, standardised."""
        return self._image.apply(maps[:, : len(self.channels)].copy())

    @property
    def mean_map(self) -> Float32[np.ndarray, "channel height width"]:
        """Mean map of the training images, all channels, as the image tower gives it."""
        return self._mean

    def of_responses(self, responses: StimulusResponses) -> Maps:
        """Return the maps of standardised responses in the form of the images' maps, standardised."""
        return self._neural.apply(self._raw_neural(responses)[:, : len(self.channels)].copy())

    def _training_maps(self) -> Iterator[Float32[np.ndarray, "batch channel height width"]]:
        """Encode the training images anew, some at a time: together they take hundreds of megabytes."""
        for first in range(0, len(self._images), IMAGES_AT_ONCE):
            yield self._towers.encode_images(self._images[first : first + IMAGES_AT_ONCE])

    def _read_training_maps(self, look: Callable[[np.ndarray], Found]) -> tuple[Float[np.ndarray, "channel"], list[Found]]:
        """Learn the mean map; return the variance of each channel about it, and the result of ``look`` for every batch."""
        total, square = np.zeros(self._towers.image_tower.map_shape), np.zeros(self._towers.image_tower.map_shape)
        found = []
        for maps in self._training_maps():
            total += maps.sum(0, dtype=np.float64)
            square += np.einsum("bchw,bchw->chw", maps, maps, dtype=np.float64)
            found.append(look(maps))
        mean = total / len(self._images)
        self._mean = mean.astype(np.float32)
        return (square / len(self._images) - mean**2).clip(0).mean(axis=(1, 2)), found

    def _raw_neural(self, responses: StimulusResponses) -> Maps:
        neural = self._fields
        if neural is None:
            return self._towers.encode_responses(responses)
        with torch.no_grad():
            deviation = torch.from_numpy(responses - self._rest).to(self._evoked.device)
            evidence = self._evoked @ neural.whiten(deviation).T
            weights = (self._posterior @ evidence.double()).float().T.cpu()
        result = torch.zeros(len(responses), int(np.prod(neural.map_shape)))
        first = 0
        for maps in self._training_maps():
            result += weights[:, first : first + len(maps)] @ torch.from_numpy(maps - self._mean).flatten(1)
            first += len(maps)
        return np.asarray(result.reshape(-1, *neural.map_shape).numpy())


@torch.no_grad()
def _posterior(evoked: Tensor, neural: ProjectiveFields, comparison: LikelihoodComparison) -> Tensor:
    """Return the matrix that turns the evidence of a response for every training image into coefficients."""
    kernel = (neural.whiten(evoked) @ evoked.T).double()
    noise = len(kernel) / comparison.log_scale.exp() * torch.eye(len(kernel), device=kernel.device, dtype=kernel.dtype)
    return torch.linalg.inv((kernel + kernel.T) / 2 + noise)


def _deviation(variance: np.ndarray) -> Float32[np.ndarray, "channel"]:
    """Return deviations; a channel that never varies keeps its values of 0."""
    return np.where(variance > 0, np.sqrt(variance), 1.0).astype(np.float32)
