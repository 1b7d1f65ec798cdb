"""The contract of feature spaces: features of an image that have no places on the map, and the weights of neurons on them."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from dina.models.towers.fitted_buffers import FittedBuffers
from dina.models.towers.tower import MapShape
from dina.short_words import brief


@dataclass(frozen=True, eq=False)
class SparseWeights:
    """Weights of which each neuron has a few: ``value`` of ``neuron`` on ``feature``, sorted by neuron, then by feature."""

    __repr__ = brief

    neuron: Int[Tensor, "weight"]
    feature: Int[Tensor, "weight"]
    value: Float[Tensor, "weight"]


@dataclass(frozen=True, eq=False)
class SpaceFit:
    """How neurons read a feature space.

    Parameters
    ----------
    weights
        On features, of the deviation from each neuron's mean response.
    predicted
        Deviation from the mean response that is expected for every training image, from weights fitted without that image.
    features
        Of the training images, as `FeatureSpace.forward` gives them: they need not be computed twice.
    """

    __repr__ = brief

    weights: Float[Tensor, "neuron feature"] | SparseWeights
    predicted: Float[Tensor, "stimulus neuron"]
    features: Float[Tensor, "stimulus feature"]


class FeatureSpace(FittedBuffers):
    """Features of images beside the local channels of the map; a space of your own derives from this class.

    It writes `fit` and `forward`, and is given to a preset, ``Default(spaces={"mine": MySpace})``, or becomes a row of
    `dina.models.spaces.SPACES`. Features have mean 0 over the training
    images, so that a feature set to 0 says nothing. Before `fit` there are none.

    Parameters
    ----------
    image_shape
        (channels, height, width) of the images, in pixels.
    map_shape
        (channels, height, width) of the local channels of the map.
    """

    label: ClassVar[str]  # on the page
    is_by_default: ClassVar[bool] = True  # fitted without being named; one that takes minutes is not
    is_whole: ClassVar[bool] = True  # read as a whole by every neuron, with dense weights; else each neuron reads a few features

    @property
    def n_features(self) -> int:
        """Number of features; 0 before `fit`."""
        raise NotImplementedError

    @property
    def n_local(self) -> int:
        """How many of the features, the first ones, belong to the local pathway; the others belong to the global one."""
        return 0

    def __init__(self, image_shape: MapShape, map_shape: MapShape) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.map_shape = map_shape

    @classmethod
    def explain_absence(cls, image_shape: MapShape) -> str:
        """Return why images of this shape cannot have these features here; "" if they can."""
        return ""

    def fit(
        self,
        images: Float[Tensor, "stimulus channel height width"],
        maps: Float[Tensor, "stimulus map_channel map_height map_width"],
        responses: Float[Tensor, "stimulus neuron"],
    ) -> SpaceFit:
        """Learn the features from training images, and the weights of all neurons from averaged training responses.

        ``maps`` are the standardised local channels of the images, before any gain; they may be in half precision.
        """
        raise NotImplementedError

    def forward(
        self,
        images: Float[Tensor, "batch channel height width"],
        maps: Float[Tensor, "batch map_channel map_height map_width"],
    ) -> Float[Tensor, "batch feature"]:
        """Return the features of images."""
        raise NotImplementedError
