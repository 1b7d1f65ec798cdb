"""What is lost when a pathway or a group of channels of the image tower is masked, and what each pathway is worth."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field

from dina.analyses.comparable_maps import ComparableMaps
from dina.analyses.decoded import Decoded
from dina.analyses.maskable_parts import MapChannels, MaskableParts, MergedFeatures, NamedPathways
from dina.analyses.pathway_masking.masking_losses import Groups, MaskingLosses
from dina.data.pairs import make_task
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.image.two_pathway import TwoPathway
from dina.progress import track
from dina.statistics.finding import Finding

NULL = "as many parts of the tower chosen at random"
NO_NULL = "The pathways of this tower cannot be divided into parts that random groups could be drawn from."
SIMILARITIES = ("ssim", "correlation", "ssim_mean_map", "correlation_mean_map")
MEASURES = (*SIMILARITIES, "top1_loss", "log_rank_loss")
UNITS = dict.fromkeys(SIMILARITIES, "1") | {"top1_loss": "1", "log_rank_loss": "nats"}


class PathwayMaskingSettings(BaseModel):
    """How much is compared.

    Parameters
    ----------
    n_similarity
        Test images whose maps are compared; retrieval uses all.
    n_random
        Random groups drawn for the null of each size.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_similarity: int = Field(50, ge=3)
    n_random: int = Field(100, ge=20)


DEFAULTS = PathwayMaskingSettings()


@dataclass(frozen=True, eq=False)
class PathwayMaskingResult:
    """What masking each part of the image tower does to maps and to retrieval.

    Parameters
    ----------
    parts
        Names of what was masked: the pathways first.
    family
        Of each part: "pathway", "scale", "orientation", "kind" or "channel".
    n_parts
        How many channels or features each part holds.
    values
        Structural similarity and correlation of masked with whole maps, and of their means over channels; top-1 accuracy
        lost, and mean natural logarithm of the rank gained, shape ``(n_masked, 6)``.
    low, high
        Ends of their 95 % bootstrap intervals over images, paired for losses.
    null_low, null_high
        Central 95 % over random groups of as many channels or features; NaN where none can be drawn.
    top1
        Accuracy with nothing masked, and its interval.
    pathways
        Names of the pathways.
    alone
        Top-1 accuracy with one pathway kept, in their order.
    shapley
        Share of each pathway in the top-1 accuracy above that with all masked, with its interval and null, shape
        ``(n_pathways, 5)``.
    n_images
        Of retrieval, and of similarities.
    """

    parts: tuple[str, ...]
    family: tuple[str, ...]
    n_parts: tuple[int, ...]
    values: Float[np.ndarray, "masked measure"]
    low: Float[np.ndarray, "masked measure"]
    high: Float[np.ndarray, "masked measure"]
    null_low: Float[np.ndarray, "masked measure"]
    null_high: Float[np.ndarray, "masked measure"]
    top1: tuple[float, float, float]
    pathways: tuple[str, ...]
    alone: tuple[float, ...]
    shapley: Float[np.ndarray, "pathway 5"]
    n_images: tuple[int, int]

    def to_dataset(self) -> xr.Dataset:
        """Return one row for each masked part and one for each pathway."""
        names = ("low", "high", "null_low", "null_high")
        variables: dict[str, Any] = {
            name: (("masked", "measure"), getattr(self, name), {"units": "1"}) for name in ("values", *names)
        }
        variables |= {
            "family": (("masked",), np.array(self.family, dtype=object), {}),
            "n_parts": (("masked",), np.array(self.n_parts), {"units": "1"}),
            "shapley": (("pathway", "statistic"), self.shapley, {"units": "1"}),
            "top1_alone": (("pathway",), np.array(self.alone), {"units": "1"}),
        }
        coordinates = {
            "masked": list(self.parts),
            "measure": list(MEASURES),
            "pathway": list(self.pathways),
            "statistic": ["value", *names],
        }
        attributes = {"top1": self.top1[0], "top1_low": self.top1[1], "top1_high": self.top1[2]}
        attributes |= {"n_images": self.n_images[0], "n_similarity": self.n_images[1]}
        return xr.Dataset(variables, coordinates, attributes)

    def findings(self) -> tuple[Finding, ...]:
        """Return ``top1_full``; four similarities, ``top1_loss_…`` and ``log_rank_loss_…`` of each part; ``shapley_…``."""
        found = [Finding("top1_full", self.top1[0], "1", self.n_images[0], *self.top1[1:])]
        for row, part in enumerate(self.parts):
            for column, measure in enumerate(MEASURES):
                cell = (a[row, column] for a in (self.values, self.low, self.high, self.null_low, self.null_high))
                n = self.n_images[1] if measure in SIMILARITIES else self.n_images[0]
                found.append(_finding(f"{measure}_{part}", UNITS[measure], n, *map(float, cell)))
        shapley = zip(self.pathways, self.shapley, strict=True)
        return (*found, *(_finding(f"shapley_{name}", "1", self.n_images[0], *map(float, row)) for name, row in shapley))


def analyse_pathway_masking(decoded: Decoded, settings: PathwayMaskingSettings = DEFAULTS) -> PathwayMaskingResult:
    """Mask each pathway and each group of channels of the image tower and see what becomes of maps and retrieval.

    Masking a trained tower asks it about maps that it never met; `analyse_pathway_refits` trains each pathway alone.

    Parameters
    ----------
    decoded
        Averaged test responses are the queries; what a masked channel shows is learnt from training images.
    settings
        How much is compared.

    Raises
    ------
    DataError
        If there are no fitted towers or fewer than two test images.
    """
    towers, task = decoded.towers, make_task(decoded.test, "averaged")
    reader = ComparableMaps(towers, decoded.train, decoded.validation, decoded.seed)
    n_compared = min(settings.n_similarity, decoded.test.n_stimuli)
    families = _families(decoded, reader, n_compared)
    losses = MaskingLosses(task.target, n_compared, settings.n_random, decoded.n_resamples, decoded.seed)
    rows = [
        (name, family.name, int(members.sum()), losses.measure(family.parts, members, has_null=family.has_null))
        for family in families
        for name, members in track(family.groups.items(), f"Masking by {family.name}")
    ]
    first = families[0]
    parts, pathways = first.parts, first.groups
    table = np.stack([row[3] for row in rows])
    return PathwayMaskingResult(
        parts=tuple(row[0] for row in rows),
        family=tuple(row[1] for row in rows),
        n_parts=tuple(row[2] for row in rows),
        values=table[:, 0],
        low=table[:, 1],
        high=table[:, 2],
        null_low=table[:, 3],
        null_high=table[:, 4],
        top1=losses.mean_and_interval(losses.top1(parts, np.ones(parts.n_parts, dtype=bool))),
        pathways=tuple(pathways),
        alone=tuple(float(losses.top1(parts, members).mean()) for members in pathways.values()),
        shapley=losses.split(parts, pathways, has_null=first.has_null),
        n_images=(decoded.test.n_stimuli, n_compared),
    )


@dataclass(frozen=True, eq=False)
class _Family:
    """Groups of one sort, the parts that they are groups of, and whether random groups can be drawn."""

    name: str
    parts: MaskableParts
    groups: Groups
    has_null: bool


def _families(decoded: Decoded, reader: ComparableMaps, n_compared: int) -> list[_Family]:
    """Return the pathways and every other way to divide the image tower of this decoding."""
    towers, task = decoded.towers, make_task(decoded.test, "averaged")
    tower = towers.image_tower
    if isinstance(tower, GaborEnergy):
        channels = MapChannels(towers, task, reader, n_compared, np.zeros(tower.map_shape, dtype=np.float32))
        return [_Family(name, channels, groups, True) for name, groups in _gabor_groups(tower).items()]
    channels = MapChannels(towers, task, reader, n_compared, reader.mean_map)
    single = {f"channel_{number + 1}": row for number, row in enumerate(np.eye(channels.n_parts, dtype=bool))}
    families = [_Family("channel", channels, single, channels.n_parts > 1)]
    if isinstance(tower, TwoPathway):
        merged = MergedFeatures(towers, task, reader, n_compared)
        is_local = np.arange(merged.n_parts) < merged.n_parts // 2
        return [_Family("pathway", merged, {"local": is_local, "global": ~is_local}, True), *families]
    if tower.pathways:
        named = NamedPathways(towers, task, reader, n_compared)
        groups = dict(zip(tower.pathways, np.eye(named.n_parts, dtype=bool), strict=True))
        return [_Family("pathway", named, groups, False), *families]
    return families


def _gabor_groups(tower: GaborEnergy) -> dict[str, Groups]:
    """Return the groups of channels by pathway, scale, orientation and kind; contrast belongs to the global pathway."""
    knots = [False] * (tower.map_shape[0] - len(tower.channels))
    names: dict[str, list[str]] = {"pathway": [], "scale": [], "orientation": [], "kind": []}
    for channel in tower.channels:
        is_pooled = channel.kind == "pooled"
        plane = "" if channel.plane == "luminance" else f"_{channel.plane}"
        kind = "energy_normalised" if channel.kind == "energy" and channel.is_normalised else channel.kind
        names["pathway"].append(channel.pathway)
        names["scale"].append("pooled" if is_pooled else f"scale_{channel.wavelength_px}px")
        names["orientation"].append("" if is_pooled else f"orientation_{channel.orientation_deg:g}deg")
        names["kind"].append("" if is_pooled else f"kind_{kind}{plane}")
    groups = {
        family: {name: np.array([other == name for other in own] + knots) for name in dict.fromkeys(own) if name}
        for family, own in names.items()
    }
    groups["pathway"]["global"][len(tower.channels) :] = True
    return {family: dict(found) for family, found in groups.items()}


def _finding(name: str, unit: str, n: int, value: float, low: float, high: float, null_low: float, null_high: float) -> Finding:
    has_null = bool(np.isfinite(null_low))
    return Finding(name, value, unit, n, low, high, null_low, null_high, NULL if has_null else "", "" if has_null else NO_NULL)
