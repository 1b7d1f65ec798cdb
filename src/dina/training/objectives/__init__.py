"""The objectives of training: one file for each family, and the table of all."""

from collections.abc import Callable

from dina.training.objectives.contrastive import (
    CategoryContrastive,
    Contrastive,
    ContrastiveRegression,
    MultiPositive,
    symmetric_info_nce,
)
from dina.training.objectives.contrastive_variants import BiMixCo, SigLip, SoftClip
from dina.training.objectives.objective import EncodedBatch, ImageFacts, Objective, prepare_objective
from dina.training.objectives.targets import (
    Classification,
    PrivilegedContrastive,
    PrivilegedRegression,
    ReconstructFeatures,
    ReconstructMaps,
    ReconstructPixels,
)

# Every objective by name.
OBJECTIVES: dict[str, Callable[[], Objective]] = {
    "contrastive": Contrastive,
    "contrastive_fixed_temperature": lambda: Contrastive("fixed"),
    "contrastive_learnt_temperature": lambda: Contrastive("learnt"),
    "contrastive_regression": ContrastiveRegression,
    "multi_positive": MultiPositive,
    "siglip": SigLip,
    "soft_clip": SoftClip,
    "bimixco": BiMixCo,
    "classification": Classification,
    "category_contrastive": CategoryContrastive,
    "reconstruct_pixels": ReconstructPixels,
    "reconstruct_features": ReconstructFeatures,
    "reconstruct_maps": ReconstructMaps,
    "privileged_regression": PrivilegedRegression,
    "privileged_contrastive": PrivilegedContrastive,
}

__all__ = ["OBJECTIVES", "EncodedBatch", "ImageFacts", "Objective", "prepare_objective", "symmetric_info_nce"]
