"""Pathway masking: what is lost when a pathway or a group of channels is masked, and how much each pathway contributes."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int
from pydantic import Field

from dina.analyses.analysis import AnalysisSettings
from dina.analyses.comparable_maps import ComparableMaps
from dina.analyses.decoded import Decoded
from dina.analyses.pathways.maskable_parts import MapChannels, MaskableParts, MergedFeatures, NamedPathways
from dina.data.pairs import make_task
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.image.two_pathway import TwoPathway
from dina.progress import track
from dina.randomness import generator_for
from dina.retrieval.ranks import count_better_and_tied
from dina.shapes import Scores
from dina.statistics.finding import Finding
from dina.statistics.resampling import resample_counts

NULL = "as many parts of the tower chosen at random"
NO_NULL = "The pathways of this tower cannot be divided into parts that random groups could be drawn from."
UNITS = {
    "ssim": "1",
    "correlation": "1",
    "ssim_mean_map": "1",
    "correlation_mean_map": "1",
    "top1_loss": "1",
    "log_rank_loss": "nats",
}
"""Measure → unit: four similarities of masked with whole maps, then what retrieval loses."""

Groups = Mapping[str, Bool[np.ndarray, "part"]]


class PathwayMaskingSettings(AnalysisSettings):
    """How much is compared.

    Parameters
    ----------
    n_similarity
        Test images whose maps are compared; retrieval uses all.
    n_random
        Random groups drawn for the null of each size.
    """

    n_similarity: int = Field(50, ge=3)
    n_random: int = Field(100, ge=20)


DEFAULTS = PathwayMaskingSettings()


@dataclass(frozen=True, eq=False)
class PathwayMaskingResult:
    """What masking each part of the image tower does to maps and to retrieval.

    ``parts`` are named, the pathways first; ``family`` is "pathway", "scale", "orientation", "kind" or "channel"; ``n_parts`` counts
    the channels or features of each. ``effects`` holds the measures in `UNITS` for each part, ``alone`` the top-1 accuracy with one
    pathway kept, ``shares`` the share of each pathway in the top-1 accuracy above that with all masked. Maps of ``n_similarity``
    images were compared.
    """

    parts: tuple[str, ...]
    family: tuple[str, ...]
    n_parts: tuple[int, ...]
    effects: tuple[tuple[Finding, ...], ...]
    top1: Finding
    pathways: tuple[str, ...]
    alone: tuple[float, ...]
    shares: tuple[Finding, ...]
    n_similarity: int

    def to_dataset(self) -> xr.Dataset:
        """Return one row for each masked part and one for each pathway."""
        names = ("value", "low", "high", "null_low", "null_high")
        variables: dict[str, Any] = {
            "values" if name == "value" else name: (
                ("masked", "measure"),
                np.array([[getattr(one, name) for one in row] for row in self.effects]),
                {"units": "1"},
            )
            for name in names
        }
        shares = np.array([[getattr(one, name) for name in names] for one in self.shares]).reshape(-1, len(names))
        variables |= {
            "family": (("masked",), np.array(self.family, dtype=object), {}),
            "n_parts": (("masked",), np.array(self.n_parts), {"units": "1"}),
            "shapley": (("pathway", "statistic"), shares, {"units": "1"}),
            "top1_alone": (("pathway",), np.array(self.alone), {"units": "1"}),
        }
        coordinates = {
            "masked": list(self.parts),
            "measure": list(UNITS),
            "pathway": list(self.pathways),
            "statistic": list(names),
        }
        attributes = {"top1": self.top1.value, "top1_low": self.top1.low, "top1_high": self.top1.high}
        attributes |= {"n_images": self.top1.n, "n_similarity": self.n_similarity}
        return xr.Dataset(variables, coordinates, attributes)

    def findings(self) -> tuple[Finding, ...]:
        """Return ``top1_full``; four similarities, ``top1_loss_…`` and ``log_rank_loss_…`` of each part; ``shapley_…``."""
        return (self.top1, *(one for row in self.effects for one in row), *self.shares)


def analyse_pathway_masking(decoded: Decoded, settings: PathwayMaskingSettings = DEFAULTS) -> PathwayMaskingResult:
    """Mask each pathway and each group of channels of the image tower, and measure what becomes of maps and retrieval.

    A masked channel is replaced by its mean over training images. Masking gives a trained tower maps that it never met;
    `analyse_pathway_refits` trains each pathway alone. Averaged test responses are the queries.
    """
    towers, task = decoded.towers, make_task(decoded.test, "averaged")
    reader = ComparableMaps(towers, decoded.train, decoded.validation, decoded.seed)
    n_compared = min(settings.n_similarity, decoded.test.n_stimuli)
    families = _families(decoded, reader, n_compared)
    losses = MaskingLosses(task.target, n_compared, settings.n_random, decoded.n_resamples, decoded.seed)
    rows = [
        (name, family.name, int(members.sum()), losses.measure(name, family.parts, members, has_null=family.has_null))
        for family in families
        for name, members in track(family.groups.items(), f"Masking by {family.name}")
    ]
    names, family_names, n_parts, effects = zip(*rows, strict=True)
    parts, pathways = families[0].parts, families[0].groups
    return PathwayMaskingResult(
        parts=names,
        family=family_names,
        n_parts=n_parts,
        effects=effects,
        top1=losses.mean("top1_full", losses.top1(parts, np.ones(parts.n_parts, dtype=bool)), "1"),
        pathways=tuple(pathways),
        alone=tuple(float(losses.top1(parts, members).mean()) for members in pathways.values()),
        shares=losses.split(parts, pathways, has_null=families[0].has_null),
        n_similarity=n_compared,
    )


class MaskingLosses:
    """Measures what is left of one decoding when parts of its image tower are masked.

    Each query has its own image, at the position ``target`` in the gallery; maps of the first ``n_compared`` images are compared.
    """

    def __init__(self, target: Int[np.ndarray, "query"], n_compared: int, n_random: int, n_resamples: int, seed: int) -> None:
        self._target, self._n_random, self._seed = target, n_random, seed
        self._counts = resample_counts(len(target), n_resamples, generator_for(seed, "bootstrap of masking"))
        self._counts_compared = resample_counts(n_compared, n_resamples, generator_for(seed, "bootstrap of masked maps"))
        self._nulls: dict[tuple[int, int, int], Float[np.ndarray, "draw measure"]] = {}

    def top1(self, parts: MaskableParts, keep: Bool[np.ndarray, "part"]) -> Float[np.ndarray, "query"]:
        """Return for each query the probability that its target is first, ties broken at random."""
        return self._top1_and_log_rank(parts.scores(keep))[0]

    def mean(
        self, name: str, values: Float[np.ndarray, "image"], units: str, null: np.ndarray | None = None, no_null: str = ""
    ) -> Finding:
        """Return the mean over images with its bootstrap interval, beside draws of ``null``."""
        n = len(values)
        counts = self._counts if n == self._counts.shape[1] else self._counts_compared
        words = "" if null is None else NULL
        return Finding.from_draws(name, float(values.mean()), units, n, counts @ values / n, null, words, no_null=no_null)

    def measure(
        self, name: str, parts: MaskableParts, members: Bool[np.ndarray, "part"], *, has_null: bool
    ) -> tuple[Finding, ...]:
        """Return the four similarities, top-1 accuracy lost and log rank gained with ``members`` masked."""
        columns = zip(UNITS.items(), self._per_image(parts, ~members), strict=True)
        null = self._draw_groups(parts, members).T if has_null else [None] * len(UNITS)
        return tuple(
            self.mean(f"{measure}_{name}", values, units, draws, "" if has_null else NO_NULL)
            for ((measure, units), values), draws in zip(columns, null, strict=True)
        )

    def split(self, parts: MaskableParts, groups: Groups, *, has_null: bool) -> tuple[Finding, ...]:
        r"""Divide the top-1 accuracy among groups by their Shapley values, beside those of random groups.

        Exact, from all :math:`2^n` coalitions: the gain by group :math:`i`, averaged over all orders in which groups can
        join, :math:`\sum_{S \not\ni i} \frac{|S|!\,(n-|S|-1)!}{n!} [v(S \cup i) - v(S)]`, image by image
        (Shapley 1953, https://doi.org/10.1515/9781400881970-018).
        """
        shares = self._shapley(parts, list(groups.values()))
        null: Any = [None] * len(shares)
        if has_null:
            generator = generator_for(self._seed, "random pathways")
            members = np.stack(list(groups.values()))
            drawn = [self._shapley(parts, list(_shuffled(members, parts.n_structured, generator))) for _ in range(self._n_random)]
            null = np.stack(drawn).mean(axis=2).T
        why = "" if has_null else NO_NULL
        rows = zip(groups, shares, null, strict=True)
        return tuple(self.mean(f"shapley_{name}", values, "1", draws, why) for name, values, draws in rows)

    def _top1_and_log_rank(self, scores: Scores) -> tuple[Float[np.ndarray, "query"], Float[np.ndarray, "query"]]:
        better, tied = count_better_and_tied(scores, self._target)
        return np.where(better == 0, 1 / (tied + 1), 0.0), np.log(1 + better + tied / 2)

    def _per_image(self, parts: MaskableParts, keep: Bool[np.ndarray, "part"]) -> list[Float[np.ndarray, "image"]]:
        whole = self._top1_and_log_rank(parts.scores(np.ones(parts.n_parts, dtype=bool)))
        top1, log_rank = self._top1_and_log_rank(parts.scores(keep))
        return [*parts.similarity(keep), whole[0] - top1, log_rank - whole[1]]

    def _draw_groups(self, parts: MaskableParts, members: Bool[np.ndarray, "part"]) -> Float[np.ndarray, "draw measure"]:
        """Return the measures with random groups masked: as many parts of structure, and the same others."""
        key = (id(parts), int(members[: parts.n_structured].sum()), int(members[parts.n_structured :].sum()))
        if key not in self._nulls:
            generator = generator_for(self._seed, f"random groups of {key[1:]}")
            drawn = []
            for _ in range(self._n_random):
                keep = ~_shuffled(members[None], parts.n_structured, generator)[0]
                drawn.append([values.mean() for values in self._per_image(parts, keep)])
            self._nulls[key] = np.array(drawn)
        return self._nulls[key]

    def _shapley(self, parts: MaskableParts, groups: list[Bool[np.ndarray, "part"]]) -> Float[np.ndarray, "group query"]:
        n = len(groups)
        in_none = ~np.any(groups, axis=0)
        value = {
            kept: self.top1(parts, np.any([in_none, *(groups[i] for i in kept)], axis=0))
            for size in range(n + 1)
            for kept in combinations(range(n), size)
        }
        shares = np.zeros((n, len(self._target)))
        for kept, without in value.items():
            for i in set(range(n)) - set(kept):
                shares[i] += (value[tuple(sorted((*kept, i)))] - without) / (n * comb(n - 1, len(kept)))
        return shares


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
        merged = MergedFeatures(towers, task, reader, n_compared, tower)
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
        family: {name: np.array([other == name for other in listed] + knots) for name in dict.fromkeys(listed) if name}
        for family, listed in names.items()
    }
    groups["pathway"]["global"][len(tower.channels) :] = True
    return {family: dict(found) for family, found in groups.items()}


def _shuffled(
    members: Bool[np.ndarray, "group part"], n_structured: int, generator: np.random.Generator
) -> Bool[np.ndarray, "group part"]:
    """Assign the parts of structure to the groups at random, as many to each; the others stay where they are."""
    return np.concatenate([members[:, generator.permutation(n_structured)], members[:, n_structured:]], axis=1)
