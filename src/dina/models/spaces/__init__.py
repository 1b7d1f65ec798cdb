"""Feature spaces that an encoding model may read beside the local channels of the map; validation decides which take part."""

from dina.models.spaces.components import GlobalGabors, Pixels
from dina.models.spaces.pursued_gabors import PursuedGabors
from dina.models.spaces.recording_network import RecordingNetwork
from dina.models.spaces.space import FeatureSpace, SpaceFit, SparseWeights
from dina.models.spaces.trained_network import TrainedNetwork

SPACES: dict[str, type[FeatureSpace]] = {
    "pixels": Pixels,
    "global_gabors": GlobalGabors,
    "trained_network": TrainedNetwork,
    "recording_network": RecordingNetwork,  # takes minutes: only where it is named
    "pursued_gabors": PursuedGabors,  # the one with sparse weights stands last
}
"""Every feature space by name, those with dense weights first."""

__all__ = ["SPACES", "FeatureSpace", "SpaceFit", "SparseWeights"]
