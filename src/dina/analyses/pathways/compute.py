"""Pathways: what is lost when a part of the image tower is masked, and how well each pathway decodes when fitted alone."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from dina.analyses.altered_gallery import first_places
from dina.analyses.analysis import AnalysisSettings, PlainResult
from dina.analyses.comparable_maps import ComparableMaps
from dina.analyses.decoded import Decoded
from dina.analyses.paired_resampling import NULL, WIDER, PairedResampling
from dina.analyses.pathways.maskable_parts import (
    UNITS,
    Groups,
    MapChannels,
    MaskableParts,
    MaskingLosses,
    MergedFeatures,
    NamedPathways,
)
from dina.checks import DataError
from dina.data.pairs import make_task
from dina.models.spaces.pursued_gabors import PursuedGabors
from dina.models.towers.image.feature_stack import FeatureStack
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.image.two_pathway import TwoPathway
from dina.models.towers.tower import ImageTower
from dina.progress import track
from dina.statistics.finding import Finding
from dina.statistics.intervals import null_range
from dina.training.aligned_towers import AlignedTowers
from dina.training.batches import RecordingPairs
from dina.training.fit import fit_towers
from dina.training.presets import RecordingShape, build_towers, find_preset, name_of
from dina.training.presets.default import DefaultSettings

RANDOM_GROUPS = "95 % range if as many parts of the tower are chosen at random"


class PathwayMaskingSettings(AnalysisSettings):
    """How much is compared.

    Parameters
    ----------
    n_similarity
        Test images whose maps are compared; retrieval uses all.
    n_random
        Random groups drawn of each size.
    """

    n_similarity: int = Field(50, ge=3)
    n_random: int = Field(100, ge=20)


def analyse_pathway_masking(decoded: Decoded, settings: PathwayMaskingSettings = PathwayMaskingSettings()) -> PlainResult:
    """Mask each pathway and each group of channels of the image tower, and measure what becomes of maps and retrieval.

    A masked channel is replaced by its mean over training images. Masking gives a trained tower maps that it never met;
    `analyse_pathway_refits` trains each pathway alone. Averaged test responses are the queries.

    Of every part the dataset says its ``family`` ("pathway", "scale", "orientation", "kind" or "channel"), how many channels or
    features it has, and the measures in `UNITS`; of every pathway the top-1 accuracy with it alone, and its share (``shapley``) in
    the top-1 accuracy above that with all masked, each beside the range of random groups of as many parts (``null_low`` and
    ``null_high``). Findings, whose nulls assign queries to other images, are ``top1_full``; four similarities, ``top1_loss_…`` and
    ``log_rank_loss_…`` of each part; ``shapley_…``.
    """
    towers, task = decoded.towers, make_task(decoded.test, "averaged")
    reader = ComparableMaps(towers, decoded.train, decoded.validation, decoded.seed)
    n_compared = min(settings.n_similarity, decoded.test.n_stimuli)
    families = _families(decoded, reader, n_compared)
    losses = MaskingLosses(task.target, n_compared, settings.n_random, decoded.n_resamples, decoded.seed)
    rows = [
        (name, family, members, losses.measure(name, family.parts, members))
        for family in families
        for name, members in track(family.groups.items(), f"Masking by {family.name}")
    ]
    names, of, masked, effects = zip(*rows, strict=True)
    parts, pathways = families[0].parts, families[0].groups
    top1 = losses.top1(parts, np.ones(parts.n_parts, dtype=bool))
    alone = [losses.top1(parts, members).value for members in pathways.values()]
    shares = losses.split(parts, pathways)
    unknown = np.full((len(UNITS), 2), np.nan)
    random = [
        losses.random_groups(family.parts, members) if family.is_divisible else unknown
        for family, members in zip(of, masked, strict=True)
    ]
    of_shares = losses.random_split(parts, pathways) if families[0].is_divisible else np.full((len(shares), 2), np.nan)
    ends = ("value", "low", "high", "null_low", "null_high")
    variables: dict[str, Any] = {
        end.replace("value", "values"): (
            ("masked", "measure"),
            [[getattr(one, end) for one in row] for row in effects],
            {"units": "1"},
        )
        for end in ends[:3]
    }
    variables |= {
        end: (("masked", "measure"), [ranges[:, place] for ranges in random], {"units": "1", "long_name": RANDOM_GROUPS})
        for place, end in enumerate(ends[3:])
    }
    by_pathway = [[one.value, one.low, one.high, *limits] for one, limits in zip(shares, of_shares, strict=True)]
    variables |= {
        "family": (("masked",), np.array([family.name for family in of], dtype=object), {}),
        "n_parts": (("masked",), np.array([int(members.sum()) for members in masked]), {"units": "1"}),
        "shapley": (("pathway", "statistic"), by_pathway, {"units": "1"}),
        "top1_alone": (("pathway",), alone, {"units": "1"}),
    }
    coordinates = {"masked": list(names), "measure": list(UNITS), "pathway": list(pathways), "statistic": list(ends)}
    attributes = {"top1": top1.value, "top1_low": top1.low, "top1_high": top1.high}
    arrays = xr.Dataset(variables, coordinates, attributes | {"n_images": top1.n, "n_similarity": n_compared})
    return PlainResult(arrays, (top1, *(one for row in effects for one in row), *shares))


@dataclass(frozen=True, eq=False)
class _Family:
    """Groups of one sort, the parts that they are groups of, and whether random groups can be drawn."""

    name: str
    parts: MaskableParts
    groups: Groups
    is_divisible: bool


def _families(decoded: Decoded, reader: ComparableMaps, n_compared: int) -> list[_Family]:
    """Return the pathways and every other way to divide the image tower of this decoding."""
    tower = decoded.towers.image_tower
    given = (decoded.towers, make_task(decoded.test, "averaged"), reader, n_compared)
    if isinstance(tower, GaborEnergy):
        channels = MapChannels(*given, np.zeros(tower.map_shape, dtype=np.float32))
        # random groups are drawn among channels with places: none is as large as a space
        return [
            _Family(name, channels, groups, name != "space")
            for name, groups in _gabor_groups(tower, decoded.recording.block_px or 1).items()
        ]
    channels = MapChannels(*given, reader.mean_map)
    single = {f"channel_{number + 1}": row for number, row in enumerate(np.eye(channels.n_parts, dtype=bool))}
    families = [_Family("channel", channels, single, channels.n_parts > 1)]
    if isinstance(tower, TwoPathway):
        merged = MergedFeatures(*given, tower)
        is_local = np.arange(merged.n_parts) < merged.n_parts // 2
        return [_Family("pathway", merged, {"local": is_local, "global": ~is_local}, True), *families]
    if tower.pathways:
        named = NamedPathways(*given)
        groups = dict(zip(tower.pathways, np.eye(named.n_parts, dtype=bool), strict=True))
        return [_Family("pathway", named, groups, False), *families]
    return families


def _gabor_groups(tower: GaborEnergy, block_px: int) -> dict[str, Groups]:
    """Return the groups of channels by pathway, scale (in pixels of the images given), orientation and kind.

    Contrast belongs to the global pathway; ``block_px`` is the side of the blocks that a pixel of the tower's images averages.
    """
    rest = [False] * (tower.map_shape[0] - len(tower.channels))
    names: dict[str, list[str]] = {"pathway": [], "scale": [], "orientation": [], "kind": []}
    for channel in tower.channels:
        is_pooled = channel.kind == "pooled"
        plane = "" if channel.plane == "luminance" else f"_{channel.plane}"
        kind = "energy_normalised" if channel.kind == "energy" and channel.is_normalised else channel.kind
        names["pathway"].append(channel.pathway)
        names["scale"].append("pooled" if is_pooled else f"scale_{block_px * channel.wavelength_px}px")
        names["orientation"].append("" if is_pooled else f"orientation_{channel.orientation_deg:g}deg")
        names["kind"].append("" if is_pooled else f"kind_{kind}{plane}")
    groups: dict[str, dict[str, np.ndarray]] = {
        family: {name: np.array([other == name for other in listed] + rest) for name in dict.fromkeys(listed) if name}
        for family, listed in names.items()
    }
    further = tower.channels_beside() if isinstance(tower, FeatureStack) else []
    n_placed = tower.map_shape[0] - len(further)
    groups["pathway"]["global"][len(tower.channels) : n_placed] = True
    if further:
        for place, (_, pathway) in enumerate(further, n_placed):
            groups["pathway"][pathway][place] = True
        spaces = ["gabor_channels"] * n_placed + [space for space, _ in further]
        groups["space"] = {f"space_{name}": np.array([other == name for other in spaces]) for name in dict.fromkeys(spaces)}
    return dict(groups)


def analyse_pathway_refits(decoded: Decoded) -> PlainResult:
    """Fit towers anew with each pathway of the image tower alone, with the settings, split and seed of the decoding.

    Averaged test responses are the queries.

    Raises
    ------
    DataError
        If the image tower has fewer than two pathways, or is not that of the preset.
    """
    pathways = decoded.towers.image_tower.pathways
    built = build_towers(decoded.preset, decoded.settings, RecordingShape.of(decoded.train), decoded.seed)
    if len(pathways) < 2 or not isinstance(decoded.towers.image_tower, type(built.image_tower)):
        raise DataError(
            f"Refitting pathways needs the image tower of preset {name_of(decoded.preset)!r} with at least two pathways; this one is a"
            f" {type(decoded.towers.image_tower).__name__} with {len(pathways)}. Fit towers of a preset."
        )
    task = make_task(decoded.test, "averaged")
    scores = [decoded.towers.score(task.queries, task.gallery)]

    def score_alone(kept: str) -> dict[str, np.ndarray]:
        towers = fit_without_pathways(decoded, tuple(name for name in pathways if name != kept))
        return {"scores": towers.score(task.queries, task.gallery)}

    for kept in track(pathways, "Fitting pathways alone"):
        scores.append(decoded.parts.get(kept, partial(score_alone, kept))["scores"])
    resampling = PairedResampling.draw(decoded.test.n_stimuli, decoded.n_resamples, decoded.seed)
    return describe_refits(pathways, np.stack([first_places(one) for one in scores]), decoded.test.stimulus_id, resampling)


def describe_refits(
    pathways: tuple[str, ...],
    first: Float[np.ndarray, "model image candidate"],
    stimulus_id: Int[np.ndarray, "image"],
    resampling: PairedResampling,
) -> PlainResult:
    """Return the accuracy of every query, and ``top1_all``, and ``top1_<pathway>_alone`` and ``top1_loss_<pathway>_alone`` of each.

    ``first`` is the probability of each candidate to come first: for all pathways together, then for each alone.
    """
    n, top1, rows = len(stimulus_id), np.diagonal(first, axis1=1, axis2=2), resampling.over_tables(first)
    losses, null = resampling.over_difference_tables(first[:1] - first), rows[1 + resampling.n_resamples :]
    variables: dict[str, Any] = {
        "top1": (("pathways", "query"), top1, {"units": "1"}),
        "null": (("pathways", "end"), np.array([null_range(column) for column in null.T]), {"units": "1"}),
    }
    found = [Finding.from_rows("top1_all", rows[:, 0], "1", n, NULL)]
    for place, name in enumerate(pathways, 1):
        found.append(Finding.from_rows(f"top1_{name}_alone", rows[:, place], "1", n, NULL))
        found.append(Finding.from_rows(f"top1_loss_{name}_alone", losses[:, place], "1", n, WIDER))
    shown = ("query", stimulus_id, {"units": "1"})
    coordinates = {"pathways": ["all", *pathways], "end": ["low", "high"], "stimulus_id": shown}
    return PlainResult(xr.Dataset(variables, coordinates), tuple(found))


class _WithoutPathways(ImageTower):
    """An image tower in which some pathways never contribute."""

    def __init__(self, whole: ImageTower, absent: tuple[str, ...]) -> None:
        kept = tuple(name for name in whole.pathways if name not in absent)
        super().__init__(whole.image_shape, whole.map_shape, kept)
        self.whole, self.absent = whole, absent

    def forward(self, images: Tensor, masked: tuple[str, ...] = ()) -> Tensor:
        maps: Tensor = self.whole(images, (*masked, *self.absent))
        return maps


class _StackWithoutPathways(FeatureStack):
    """A stack in which the channels of some pathways are 0 from the start, so that no weight is fitted to them.

    Spaces of the whole image belong to the global pathway, and Gabors of an absent pathway are not pursued.
    """

    absent: tuple[str, ...] = ()

    def leave_out(self, absent: tuple[str, ...]) -> None:
        self.absent = absent
        for name, space in list(self.spaces.items()):
            if isinstance(space, PursuedGabors):
                space.pathways = tuple(each for each in self.pathways if each not in absent)
            elif "global" in absent:
                del self.spaces[name]
        self.space_gain = torch.nn.Parameter(torch.ones(len(self.spaces)))

    def raw_maps(self, images: Tensor) -> Tensor:
        keep = torch.tensor([channel.pathway not in self.absent for channel in self.channels], device=images.device)
        return super().raw_maps(images) * keep[:, None, None]

    def forward(self, images: Tensor, masked: tuple[str, ...] = ()) -> Tensor:
        return super().forward(images, (*masked, *self.absent))


def fit_without_pathways(decoded: Decoded, absent: tuple[str, ...]) -> AlignedTowers:
    """Fit towers of the decoding's preset, in which the pathways ``absent`` never contribute."""
    settings = decoded.settings
    pairs = RecordingPairs(decoded.train, decoded.validation, image_features=decoded.image_features)
    built = build_towers(decoded.preset, settings, RecordingShape.of(pairs.train), decoded.seed)
    whole = built.image_tower
    image: ImageTower = _WithoutPathways(whole, absent)
    if isinstance(whole, GaborEnergy) and isinstance(settings, DefaultSettings):
        numbers = (settings.stride, settings.n_orientations, settings.n_contrasts)
        own = whole.own if isinstance(whole, FeatureStack) else {}
        stack = _StackWithoutPathways(settings.spaces, whole.image_shape, *numbers, has_phases=settings.has_phases, own=own)
        stack.leave_out(absent)
        image = stack
    towers: AlignedTowers = AlignedTowers(image, built.neural_tower, built.comparison)
    preset = find_preset(decoded.preset)
    preset.start([towers], settings, [pairs])
    fit_towers([towers], [pairs], settings.fit, decoded.seed, decoded.device, objective=preset.objective)
    return towers
