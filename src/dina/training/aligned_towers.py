"""An image tower and a neural tower with the comparison that lets responses find images."""

import hashlib
from typing import Any, Generic

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import nn
from typing_extensions import TypeVar

from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries
from dina.data.standardise import Standardiser
from dina.models.towers.tower import ImageTower, NeuralTower
from dina.shapes import ContrastImages, Scores
from dina.training.comparison import Comparison

IMAGES_AT_ONCE = 64
RESPONSES_AT_ONCE = 2048
GALLERY_AT_ONCE = 1024  # images of a gallery whose maps are held

Image = TypeVar("Image", bound=ImageTower, default=ImageTower, covariant=True)
Neural = TypeVar("Neural", bound=NeuralTower, default=NeuralTower, covariant=True)


class AlignedTowers(nn.Module, Generic[Image, Neural]):
    """Two towers whose feature maps meet in one comparison.

    Parameters
    ----------
    image_tower, neural_tower
        Give maps of one shape.
    comparison
        Turns two sets of maps into scores.
    recipe
        How to build these towers again: ``{"preset": …, "settings": …, "shape": …}``, stored when they are saved.
        None for towers of your own, which must be given to `dina.training.saved.load_towers`.

    Raises
    ------
    DataError
        If one is no tower, or the maps of the two differ in shape.
    """

    def __init__(
        self, image_tower: Image, neural_tower: Neural, comparison: Comparison, recipe: dict[str, Any] | None = None
    ) -> None:
        super().__init__()
        for tower, kind in ((image_tower, ImageTower), (neural_tower, NeuralTower)):
            if not isinstance(tower, kind):
                raise DataError(
                    f"A tower of your own must derive from {kind.__module__}.{kind.__name__}; got {type(tower).__name__}."
                    " Derive it, and call super().__init__ with its shapes."
                )
        if image_tower.map_shape != neural_tower.map_shape:
            raise DataError(
                "Both towers must give maps of one (channels, height, width); the image tower gives"
                f" {image_tower.map_shape}, the neural tower {neural_tower.map_shape}. Set map_shape of one to the other's."
            )
        self.image_tower = image_tower
        self.neural_tower = neural_tower
        self.comparison = comparison
        self.recipe = recipe
        self.standardiser: Standardiser | None = None

    def __repr__(self) -> str:
        """Name the two towers and the shape of their maps: torch would list every layer."""
        image, neural = self.image_tower, self.neural_tower
        towers = f"{type(image).__name__} of images {image.image_shape}, {type(neural).__name__} of {neural.n_neurons} neurons"
        return f"{type(self).__name__}({towers}, maps {image.map_shape})"

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @torch.inference_mode()
    def encode_images(
        self, images: ContrastImages, masked: tuple[str, ...] = ()
    ) -> Float32[np.ndarray, "stimulus map_channel map_height map_width"]:
        """Return the feature maps of images in units of contrast; pathways named in ``masked`` contribute nothing."""
        self.eval()
        chunks = torch.split(torch.from_numpy(images), IMAGES_AT_ONCE)
        maps = [self.image_tower(chunk.to(self.device), masked).float().cpu().numpy() for chunk in chunks if len(chunk)]
        return np.concatenate(maps) if maps else np.empty((0, *self.image_tower.map_shape), np.float32)

    @torch.inference_mode()
    def encode_responses(
        self, responses: Float[np.ndarray, "trial neuron"]
    ) -> Float32[np.ndarray, "trial map_channel map_height map_width"]:
        """Return the feature maps of responses standardised as in training."""
        self.eval()
        chunks = torch.split(torch.from_numpy(np.asarray(responses, dtype=np.float32)), RESPONSES_AT_ONCE)
        maps = [self.neural_tower(chunk.to(self.device)).float().cpu().numpy() for chunk in chunks if len(chunk)]
        return np.concatenate(maps) if maps else np.empty((0, *self.neural_tower.map_shape), np.float32)

    @torch.inference_mode()
    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Return the score of each gallery image for each query, larger for a better fit.

        The term of the score that is the same for all images is subtracted (`Comparison.evidence`). Scores of different
        responses can then be compared.

        Raises
        ------
        DataError
            If a score is not finite.
        """
        parts = [
            self._score(queries, gallery.images[first : first + GALLERY_AT_ONCE])
            for first in range(0, max(1, len(gallery.images)), GALLERY_AT_ONCE)
        ]
        result = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        if not np.isfinite(result).all():
            raise DataError(
                f"Scores must be finite; {int((~np.isfinite(result)).sum())} of {result.size} are not. The weights or the"
                " responses hold NaN or infinity: fit again with a lower learning rate, or check the responses."
            )
        return gallery.tie_copies(result)

    def _score(self, queries: Queries, images: ContrastImages) -> Scores:
        self.eval()
        chunks = torch.split(torch.from_numpy(images), IMAGES_AT_ONCE)
        image = torch.cat([self.comparison.read_images(self.image_tower(chunk.to(self.device))) for chunk in chunks])
        responses = torch.from_numpy(np.asarray(queries.responses, dtype=np.float32))
        presentations = torch.from_numpy(np.asarray(queries.n_presentations, dtype=np.float32))
        scores = []
        for first in range(0, len(responses), RESPONSES_AT_ONCE):
            rows = slice(first, first + RESPONSES_AT_ONCE)
            chunk, n_averaged = responses[rows].to(self.device), presentations[rows].to(self.device)
            compared = self.comparison.compare(self.comparison.read_responses(self.neural_tower, chunk), image, n_averaged)
            scores.append((compared - self.comparison.evidence(chunk, n_averaged)[:, None]).cpu().numpy())
        return np.concatenate(scores) if scores else np.empty((0, len(image)), np.float32)

    def check_pairs(self, pairs: Pairs) -> None:
        """Refuse data of other neurons, or transformed or standardised in another way, than these towers were trained on.

        Raises
        ------
        DataError
            If the number of neurons differs, or the mean and deviation of their training responses do, or their transform does.
        """
        mine = self.standardiser
        if mine is not None and neuron_hash(mine) != neuron_hash(pairs.standardiser):
            raise DataError(
                f"These towers were trained on {len(mine.mean)} neurons (hash {neuron_hash(mine)[:8]}); the data have"
                f" {pairs.n_neurons} (hash {neuron_hash(pairs.standardiser)[:8]}), or were standardised by other training"
                f" trials, or transformed in another way ({mine.transform.name} and {pairs.standardiser.transform.name}). Make the pairs with the towers' own standardiser from the same neurons in the same order."
            )


def neuron_hash(standardiser: Standardiser) -> str:
    """Return a SHA-256 over the training mean and deviation of each neuron and the transform: it tells populations apart."""
    digest = hashlib.sha256(np.ascontiguousarray(standardiser.mean).data)
    digest.update(np.ascontiguousarray(standardiser.deviation).data)
    transform = standardiser.transform
    if not transform.is_identity:  # without one the hash is that of earlier versions
        for values in (transform.power, transform.offset, np.array(transform.mean_root or 0.0)):
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()
