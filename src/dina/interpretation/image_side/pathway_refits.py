"""How well towers decode that were fitted with one pathway alone, as a check on masking towers fitted with all."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from dina.alignment.aligned_towers import AlignedTowers
from dina.alignment.closed_form_start import start_at_encoding_model
from dina.alignment.comparison import LikelihoodComparison
from dina.alignment.fit import fit_towers
from dina.alignment.preset_settings import DefaultSettings
from dina.alignment.presets import PRESETS, RecordingShape, build_towers
from dina.checks import DataError
from dina.dataset.pairs import RetrievalTask, make_task
from dina.interpretation.decoded import Decoded
from dina.measures.finding import Finding
from dina.measures.ranks import all_ranks, count_better_and_tied
from dina.measures.resampling import percentile_interval, resample_counts
from dina.progress import track
from dina.randomness import generator_for
from dina.shapes import Scores
from dina.towers.image.gabor_energy import GaborEnergy
from dina.towers.neural.projective_fields import ProjectiveFields
from dina.towers.tower import ImageTower

NULL = "queries assigned to other images, permuted"


@dataclass(frozen=True, eq=False)
class PathwayRefitsResult:
    """Retrieval by towers fitted with one pathway alone.

    Parameters
    ----------
    pathways
        Their names.
    top1
        For each query the probability that its target is first: with all pathways, then with each alone, shape
        ``(1 + n_pathways, n_queries)``.
    permuted_top1
        Mean of the same with queries assigned to other images, shape ``(1 + n_pathways, n_permutations)``.
    seed, n_resamples
        Of the bootstrap.
    """

    pathways: tuple[str, ...]
    top1: Float[np.ndarray, "model query"]
    permuted_top1: Float[np.ndarray, "model permutation"]
    seed: int
    n_resamples: int

    def to_dataset(self) -> xr.Dataset:
        """Return accuracy of every query for each set of pathways, and its null."""
        null = np.quantile(self.permuted_top1, [0.025, 0.975], axis=1).T
        variables: dict[str, Any] = {
            "top1": (("pathways", "query"), self.top1, {"units": "1"}),
            "null": (("pathways", "end"), null, {"units": "1"}),
        }
        return xr.Dataset(variables, {"pathways": ["all", *self.pathways], "end": ["low", "high"]})

    def findings(self) -> tuple[Finding, ...]:
        """Return ``top1_all``, and ``top1_<pathway>_alone`` and ``top1_loss_<pathway>_alone`` of each."""
        n = self.top1.shape[1]
        counts = resample_counts(n, self.n_resamples, generator_for(self.seed, "bootstrap of refits"))
        found = []
        for number, name in enumerate(("all", *(f"{pathway}_alone" for pathway in self.pathways))):
            values = {f"top1_{name}": (self.top1[number], self.permuted_top1[number])}
            if number:
                loss = self.permuted_top1[0] - self.permuted_top1[number]
                values[f"top1_loss_{name}"] = (self.top1[0] - self.top1[number], loss)
            for finding, (own, null) in values.items():
                interval, null_range = percentile_interval(counts @ own / n), percentile_interval(null)
                found.append(Finding(finding, float(own.mean()), "1", n, *interval, *null_range, null=NULL))
        return tuple(found)


def analyse_pathway_refits(decoded: Decoded) -> PathwayRefitsResult:
    """Fit towers anew with each pathway of the image tower alone, with the settings, split and seed of the decoding.

    Parameters
    ----------
    decoded
        Its training and validation pairs fit the towers; averaged test responses are the queries.

    Raises
    ------
    DataError
        If the image tower has fewer than two pathways, or is not that of the preset.
    """
    pathways = decoded.towers.image_tower.pathways
    own_kind = type(build_towers(decoded.preset, decoded.settings, RecordingShape.of(decoded.train), decoded.seed).image_tower)
    if len(pathways) < 2 or not isinstance(decoded.towers.image_tower, own_kind):
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
        top1=np.stack([_top1(one, task.target) for one in scores]),
        permuted_top1=np.stack([_permuted_top1(one, decoded.n_resamples, decoded.seed) for one in scores]),
        seed=decoded.seed,
        n_resamples=decoded.n_resamples,
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
    return {"scores": _fit_without(decoded, absent).score(task.queries, task.gallery)}


def _fit_without(decoded: Decoded, absent: tuple[str, ...]) -> AlignedTowers:
    """Fit towers of the decoding's preset, in which the pathways ``absent`` never contribute."""
    settings, train, validation = decoded.settings, decoded.train, decoded.validation
    built = build_towers(decoded.preset, settings, RecordingShape.of(train), decoded.seed)
    neural = built.neural_tower
    if isinstance(built.image_tower, GaborEnergy) and isinstance(settings, DefaultSettings):
        assert isinstance(neural, ProjectiveFields)  # what the preset builds; tells the type checker
        image = _GaborsWithoutPathways(
            built.image_tower.image_shape,
            settings.stride,
            settings.n_orientations,
            settings.n_contrasts,
            has_phases=settings.has_phases,
        )
        image.absent = absent
        towers = AlignedTowers(image, neural, LikelihoodComparison(neural))
        start_at_encoding_model(image, neural, settings.widths, train, validation)
    else:
        towers = AlignedTowers(_WithoutPathways(built.image_tower, absent), neural, built.comparison)
        PRESETS[decoded.preset].start(towers, settings, train, validation, decoded.seed)
    fit_towers(towers, train, validation, settings.fit, decoded.seed, decoded.device)
    return towers


def _top1(scores: Scores, target: np.ndarray) -> Float[np.ndarray, "query"]:
    better, tied = count_better_and_tied(scores, target)
    return np.where(better == 0, 1 / (tied + 1), 0.0)


def _permuted_top1(scores: Scores, n_permutations: int, seed: int) -> Float[np.ndarray, "permutation"]:
    """Return the mean top-1 accuracy when every query is said to be about another image."""
    n = len(scores)
    is_first = all_ranks(scores) < 1.5  # ties at the top count as not first: continuous scores have none
    permuted = generator_for(seed, "permutation of refits").permuted(np.tile(np.arange(n), (n_permutations, 1)), axis=1)
    return is_first[np.arange(n), permuted].mean(axis=1)
