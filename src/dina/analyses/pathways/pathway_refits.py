"""Pathway refits: how well towers decode that were fitted with one pathway alone, a check on masking."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from torch import Tensor

from dina.analyses.altered_gallery import first_places
from dina.analyses.decoded import Decoded
from dina.analyses.paired_resampling import EXCHANGED, NULL, PairedResampling
from dina.checks import DataError
from dina.data.pairs import RetrievalTask, make_task
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.models.towers.tower import ImageTower
from dina.progress import track
from dina.statistics.finding import Finding
from dina.training.aligned_towers import AlignedTowers
from dina.training.batches import RecordingPairs
from dina.training.comparison import LikelihoodComparison
from dina.training.fit import fit_towers
from dina.training.presets import PRESETS, RecordingShape, build_towers
from dina.training.presets.default import DefaultSettings
from dina.training.start import start_at_encoding_models


@dataclass(frozen=True, eq=False)
class PathwayRefitsResult:
    """Retrieval by towers fitted with one pathway alone.

    ``first`` is the probability of each candidate to come first: for all pathways together, then for each alone.
    """

    pathways: tuple[str, ...]
    first: Float[np.ndarray, "model image candidate"]
    stimulus_id: Int[np.ndarray, "image"]
    resampling: PairedResampling

    def to_dataset(self) -> xr.Dataset:
        """Return accuracy of every query for each set of pathways, and its null."""
        null = self.resampling.over_tables(self.first)[1 + self.resampling.n_resamples :]
        variables: dict[str, Any] = {
            "top1": (("pathways", "query"), np.diagonal(self.first, axis1=1, axis2=2), {"units": "1"}),
            "null": (("pathways", "end"), np.quantile(null, [0.025, 0.975], axis=0).T, {"units": "1"}),
        }
        coordinates = {
            "pathways": ["all", *self.pathways],
            "end": ["low", "high"],
            "stimulus_id": ("query", self.stimulus_id, {"units": "1"}),
        }
        return xr.Dataset(variables, coordinates)

    def findings(self) -> tuple[Finding, ...]:
        """Return ``top1_all``, and ``top1_<pathway>_alone`` and ``top1_loss_<pathway>_alone`` of each."""
        n, top1 = len(self.stimulus_id), np.diagonal(self.first, axis1=1, axis2=2)
        rows, losses = self.resampling.over_tables(self.first), self.resampling.over_differences(top1[:1] - top1)
        found = [Finding.from_rows("top1_all", rows[:, 0], "1", n, NULL)]
        for place, name in enumerate(self.pathways, 1):
            found.append(Finding.from_rows(f"top1_{name}_alone", rows[:, place], "1", n, NULL))
            found.append(Finding.from_rows(f"top1_loss_{name}_alone", losses[:, place], "1", n, EXCHANGED))
        return tuple(found)


def analyse_pathway_refits(decoded: Decoded) -> PathwayRefitsResult:
    """Fit towers anew with each pathway of the image tower alone, with the settings, split and seed of the decoding.

    Averaged test responses are the queries.

    Raises
    ------
    DataError
        If the image tower has fewer than two pathways, or is not that of the preset.
    """
    pathways = decoded.towers.image_tower.pathways
    preset_tower = type(
        build_towers(decoded.preset, decoded.settings, RecordingShape.of(decoded.train), decoded.seed).image_tower
    )
    if len(pathways) < 2 or not isinstance(decoded.towers.image_tower, preset_tower):
        raise DataError(
            f"Refitting pathways needs the image tower of preset {decoded.preset!r} with at least two pathways; this one is a"
            f" {type(decoded.towers.image_tower).__name__} with {len(pathways)}. Fit towers of a preset."
        )
    task = make_task(decoded.test, "averaged")
    scores = [decoded.towers.score(task.queries, task.gallery)]
    for kept in track(pathways, "Fitting pathways alone"):
        absent = tuple(name for name in pathways if name != kept)
        scores.append(decoded.parts.get(kept, partial(_score_without, decoded, absent, task))["scores"])
    return PathwayRefitsResult(
        pathways=pathways,
        first=np.stack([first_places(one) for one in scores]),
        stimulus_id=decoded.test.stimulus_id,
        resampling=PairedResampling.draw(decoded.test.n_stimuli, decoded.n_resamples, decoded.seed),
    )


class _WithoutPathways(ImageTower):
    """An image tower some of whose pathways never contribute."""

    def __init__(self, whole: ImageTower, absent: tuple[str, ...]) -> None:
        kept = tuple(name for name in whole.pathways if name not in absent)
        super().__init__(whole.image_shape, whole.map_shape, kept)
        self.whole, self.absent = whole, absent

    def forward(self, images: Tensor, masked: tuple[str, ...] = ()) -> Tensor:
        maps: Tensor = self.whole(images, (*masked, *self.absent))
        return maps


class _GaborsWithoutPathways(GaborEnergy):
    """A Gabor tower in which the channels of some pathways are 0 from the start, so that no weight is fitted to them."""

    absent: tuple[str, ...] = ()

    def raw_maps(self, images: Tensor) -> Tensor:
        keep = torch.tensor([channel.pathway not in self.absent for channel in self.channels], device=images.device)
        return super().raw_maps(images) * keep[:, None, None]

    def forward(self, images: Tensor, masked: tuple[str, ...] = ()) -> Tensor:
        return super().forward(images, (*masked, *self.absent))


def _score_without(decoded: Decoded, absent: tuple[str, ...], task: RetrievalTask) -> dict[str, np.ndarray]:
    return {"scores": fit_without_pathways(decoded, absent).score(task.queries, task.gallery)}


def fit_without_pathways(decoded: Decoded, absent: tuple[str, ...]) -> AlignedTowers:
    """Fit towers of the decoding's preset, in which the pathways ``absent`` never contribute."""
    settings = decoded.settings
    pairs = RecordingPairs(decoded.train, decoded.validation, image_features=decoded.image_features)
    built = build_towers(decoded.preset, settings, RecordingShape.of(pairs.train), decoded.seed)
    neural = built.neural_tower
    if (
        isinstance(built.image_tower, GaborEnergy)
        and isinstance(neural, ProjectiveFields)
        and isinstance(settings, DefaultSettings)
    ):
        image = _GaborsWithoutPathways(
            built.image_tower.image_shape,
            settings.stride,
            settings.n_orientations,
            settings.n_contrasts,
            has_phases=settings.has_phases,
        )
        image.absent = absent
        towers: AlignedTowers = AlignedTowers(image, neural, LikelihoodComparison(neural))
        start_at_encoding_models(image, [neural], [pairs], settings.widths)
    else:
        towers = AlignedTowers(_WithoutPathways(built.image_tower, absent), neural, built.comparison)
        PRESETS[decoded.preset].start([towers], settings, [pairs])
    fit_towers([towers], [pairs], settings.fit, decoded.seed, decoded.device)
    return towers
