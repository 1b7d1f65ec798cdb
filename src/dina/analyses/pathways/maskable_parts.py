"""Parts of an image tower that masking leaves out, and how much that changes maps, scores and retrieval."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import combinations
from math import comb

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata
from torch import Tensor

from dina.analyses.altered_gallery import first_places
from dina.analyses.comparable_maps import ComparableMaps
from dina.analyses.paired_resampling import NULL
from dina.analyses.separable_fields import SeparableFields
from dina.data.pairs import RetrievalTask
from dina.models.towers.image.two_pathway import TwoPathway
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.randomness import generator_for
from dina.retrieval.ranks import count_better_and_tied
from dina.shapes import Scores
from dina.statistics.correlation import correlate_rows
from dina.statistics.finding import Finding
from dina.statistics.imagined_image import ImaginedImage
from dina.statistics.intervals import null_range
from dina.statistics.map_similarity import structural_similarity
from dina.statistics.resampling import resample_counts
from dina.training.aligned_towers import AlignedTowers
from dina.training.comparison import LikelihoodComparison

RANGE_DEVIATIONS = 6.0  # what counts as full contrast in SSIM, in deviations of a channel
AT_ONCE = 16  # images whose expected responses are held for every channel at a time

NO_NULL = "Maps of images are compared without responses, so that there is no null; random groups of parts stand beside it."
SIMILARITIES = ("ssim", "correlation", "ssim_mean_map", "correlation_mean_map")
# Measure → unit: four similarities of masked with whole maps, then what retrieval loses.
LOSSES = ("top1_loss", "log_rank_loss")
UNITS = dict.fromkeys((*SIMILARITIES, LOSSES[0]), "1") | {LOSSES[1]: "nats"}

Groups = Mapping[str, Bool[np.ndarray, "part"]]

Values = Float[np.ndarray, "image"]
Table = Float[np.ndarray, "query candidate"]
# Structural similarity (mean over channels) and correlation of maps, then both of their means over channels.
Similarity = tuple[Values, Values, Values, Values]


class MaskableParts(ABC):
    """An image tower whose parts can be left out, the queries, and its maps with all parts.

    ``reader`` brings maps into the form in which they are compared, those of the first ``n_compared`` gallery images.
    """

    n_parts: int
    n_structured: int  # parts among which random groups are drawn: all except the constant channels of contrast at the end

    def __init__(self, towers: AlignedTowers, task: RetrievalTask, reader: ComparableMaps, n_compared: int) -> None:
        self.towers, self.task, self.reader, self.n_compared = towers, task, reader, n_compared
        self._neural = torch.from_numpy(towers.encode_responses(task.queries.responses)).to(towers.device)
        self._presentations = torch.from_numpy(np.asarray(task.queries.n_presentations, dtype=np.float32)).to(towers.device)
        self._remember(reader.standardise(towers.encode_images(task.gallery.images[:n_compared])))

    def _remember(self, whole: Float[np.ndarray, "image channel height width"]) -> None:
        self._whole = whole
        self._whole_mean = self._whole.mean(axis=1)
        # the mean of many channels has less contrast than each; that of one channel is the channel
        contrast = [np.sqrt(np.square(maps, dtype=np.float64).mean()) for maps in (self._whole_mean, self._whole)]
        self._mean_range = RANGE_DEVIATIONS * (contrast[0] / contrast[1] if contrast[0] > 0 else 1.0)

    @abstractmethod
    def maps(self, keep: Bool[np.ndarray, "part"]) -> Float[Tensor, "gallery channel height width"]:
        """Return the maps of the gallery with only the parts in ``keep``."""

    def scores(self, keep: Bool[np.ndarray, "part"]) -> Scores:
        """Return the score of every gallery image for every query."""
        with torch.inference_mode():
            return np.asarray(self.towers.comparison(self._neural, self.maps(keep), self._presentations).cpu().numpy())

    def similarity(self, keep: Bool[np.ndarray, "part"]) -> Similarity:
        """Return the similarity of each whole map and the masked one, and of their means over channels."""
        remaining = self.reader.standardise(self.maps(keep)[: self.n_compared].cpu().numpy())
        flat = [maps.reshape(-1, *maps.shape[2:]) for maps in (self._whole, remaining)]
        ssim = (
            structural_similarity(flat[0], flat[1], np.full(len(flat[0]), RANGE_DEVIATIONS)).reshape(remaining.shape[:2]).mean(1)
        )
        whole, rest = (maps.reshape(len(maps), -1) for maps in (self._whole, remaining))
        # a flat map is like no other
        return ssim, np.nan_to_num(correlate_rows(whole, rest)), *self._compare_means(remaining.mean(axis=1))

    def _compare_means(self, remaining: Float[np.ndarray, "image height width"]) -> tuple[Values, Values]:
        ssim = structural_similarity(self._whole_mean, remaining, np.full(len(remaining), self._mean_range))
        whole, rest = (maps.reshape(len(maps), -1) for maps in (self._whole_mean, remaining))
        return ssim, np.nan_to_num(correlate_rows(whole, rest))


class NamedPathways(MaskableParts):
    """The pathways of any image tower, left out by name."""

    def __init__(self, towers: AlignedTowers, task: RetrievalTask, reader: ComparableMaps, n_compared: int) -> None:
        super().__init__(towers, task, reader, n_compared)
        self.n_parts = self.n_structured = len(towers.image_tower.pathways)

    def maps(self, keep: Bool[np.ndarray, "part"]) -> Float[Tensor, "gallery channel height width"]:
        """Return the maps of the gallery with only the parts in ``keep``."""
        masked = tuple(name for name, kept in zip(self.towers.image_tower.pathways, keep, strict=True) if not kept)
        return torch.from_numpy(self.towers.encode_images(self.task.gallery.images, masked)).to(self.towers.device)


class MergedFeatures(MaskableParts):
    """The features that a two-pathway tower merges: the first half of the local pathway, the second of the global one."""

    def __init__(
        self, towers: AlignedTowers, task: RetrievalTask, reader: ComparableMaps, n_compared: int, tower: TwoPathway
    ) -> None:
        super().__init__(towers, task, reader, n_compared)
        self._merge = tower.merge
        self.n_parts = self.n_structured = tower.merge.in_channels
        with torch.inference_mode():
            batches = torch.split(torch.from_numpy(task.gallery.images).to(towers.device), 64)
            self._features = torch.cat([torch.cat((tower.local(batch), tower.global_(batch)), dim=1) for batch in batches])

    def maps(self, keep: Bool[np.ndarray, "part"]) -> Float[Tensor, "gallery channel height width"]:
        """Return the maps of the gallery with only the parts in ``keep``."""
        kept = torch.from_numpy(keep).to(self._features)[:, None, None]
        with torch.inference_mode():
            found: Tensor = self._merge(self._features * kept)
        return found


class MapChannels(MaskableParts):
    """The channels of the feature map; a masked channel is replaced by ``rest``, its mean over training images.

    ``rest`` is 0 for a Gabor tower, whose channels are deviations from their mean at the contrast of the image. Scores of a
    likelihood are quadratic in the map: a sum over channels minus a sum over pairs of channels. Both are computed once; the scores
    of any group of channels then cost next to nothing. Similarities add up over channels.
    """

    def __init__(
        self,
        towers: AlignedTowers,
        task: RetrievalTask,
        reader: ComparableMaps,
        n_compared: int,
        rest: Float[np.ndarray, "channel height width"],
    ) -> None:
        super().__init__(towers, task, reader, n_compared)
        self.n_parts, self.n_structured = len(rest), len(reader.channels)
        self._rest = torch.from_numpy(rest).to(towers.device)
        self._gallery = torch.from_numpy(towers.encode_images(task.gallery.images)).to(towers.device)
        self._terms: tuple[Tensor, Tensor] | None = None
        neural, comparison = towers.neural_tower, towers.comparison
        if isinstance(comparison, LikelihoodComparison) and isinstance(neural, ProjectiveFields) and not rest.any():
            self._terms, self._scale = self._likelihood_terms(neural), comparison.log_scale.detach().exp()
        masked = reader.standardise(rest[None].copy())[0]
        self._masked_ssim, self._sums = self._compare_channels(masked)
        # what each channel adds to the mean, nothing where masking changes nothing: (channel, image and place)
        self._lost = (self._whole - masked).transpose(1, 0, 2, 3).reshape(len(masked), -1) / np.float32(len(masked))

    def maps(self, keep: Bool[np.ndarray, "part"]) -> Float[Tensor, "gallery channel height width"]:
        """Return the maps of the gallery with only the parts in ``keep``."""
        return torch.where(torch.from_numpy(keep).to(self._gallery.device)[:, None, None], self._gallery, self._rest)

    def scores(self, keep: Bool[np.ndarray, "part"]) -> Scores:
        """Return the score of every gallery image for every query."""
        if self._terms is None:
            return super().scores(keep)
        chosen = torch.from_numpy(np.flatnonzero(keep)).to(self._gallery.device)
        agreement, norm = self._terms[0][chosen].sum(0), self._terms[1][:, chosen][:, :, chosen].sum(dim=(1, 2))
        return np.asarray((self._scale * (agreement - 0.5 * norm)).cpu().numpy())

    def similarity(self, keep: Bool[np.ndarray, "part"]) -> Similarity:
        """Return the similarity of each whole map and the masked one, and of their means over channels."""
        kept = keep[: len(self._masked_ssim)]
        ssim = np.where(kept[:, None], 1.0, self._masked_ssim).mean(axis=0)
        total, square, rest_total, rest_square, product, n_places = self._sums
        n = n_places * len(kept)
        mean, masked_mean = total.sum(0) / n, np.where(kept[:, None], total, rest_total[:, None]).sum(0) / n
        variance = square.sum(0) / n - mean**2
        masked_variance = np.where(kept[:, None], square, rest_square[:, None]).sum(0) / n - masked_mean**2
        covariance = np.where(kept[:, None], square, product).sum(0) / n - mean * masked_mean
        spread = np.sqrt((variance * masked_variance).clip(0))
        correlation = np.divide(covariance, spread, out=np.zeros_like(spread), where=masked_variance > 1e-12 * variance)
        remaining = self._whole_mean - ((~kept).astype(np.float32) @ self._lost).reshape(self._whole_mean.shape)
        return ssim, correlation, *self._compare_means(remaining)

    @torch.inference_mode()
    def _likelihood_terms(self, neural: ProjectiveFields) -> tuple[Tensor, Tensor]:
        """Return (channel, query, gallery): agreement; and (gallery, channel, channel): the norm of what is evoked."""
        fields = SeparableFields(neural)
        agreement = torch.einsum("qcp,gcp->cqg", self._neural.flatten(2), self._gallery.flatten(2))
        norms = []
        for batch in torch.split(self._gallery, AT_ONCE):
            evoked = fields.predict_by_channel(batch)
            whitened = neural.whiten(evoked.flatten(0, 1)).view_as(evoked)
            norms.append(evoked @ whitened.transpose(1, 2))
        return agreement, torch.cat(norms)

    def _compare_channels(self, masked: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """Return each channel's similarity to its masked self, and the sums of which correlations are made."""
        whole = self._whole.transpose(1, 0, 2, 3)
        same = np.broadcast_to(masked[:, None], whole.shape)
        ssim = [structural_similarity(a, b, np.full(len(a), RANGE_DEVIATIONS)) for a, b in zip(whole, same, strict=True)]
        flat, rest = whole.reshape(*whole.shape[:2], -1).astype(np.float64), masked.reshape(len(masked), -1).astype(np.float64)
        sums = (flat.sum(2), np.square(flat).sum(2), rest.sum(1), np.square(rest).sum(1), np.einsum("cip,cp->ci", flat, rest))
        return np.stack(ssim), (*sums, np.array(rest.shape[1]))


class MaskingLosses:
    """Measures what is left of one decoding when parts of its image tower are masked.

    Each query has its own image, at the position ``target`` in the gallery; maps of the first ``n_compared`` images are compared.
    What retrieval loses has a null, queries assigned to other images: losses of a part that changes many scores vary more than those
    of other parts, also where nothing is decoded. Random groups of parts stand beside it: they say what masking costs whatever is
    masked.
    """

    def __init__(self, target: Int[np.ndarray, "query"], n_compared: int, n_random: int, n_resamples: int, seed: int) -> None:
        self._target, self._n_random, self._seed = target, n_random, seed
        self._counts = resample_counts(len(target), n_resamples, generator_for(seed, "bootstrap of masking"))
        self._imagined = ImaginedImage.draw(len(target), n_resamples, generator_for(seed, "imagined image of masking"))
        self._counts_compared = resample_counts(n_compared, n_resamples, generator_for(seed, "bootstrap of masked maps"))
        rows = np.broadcast_to(target, (n_resamples, len(target)))
        self._elsewhere = generator_for(seed, "queries assigned elsewhere").permuted(rows, axis=1)
        self._random: dict[tuple[int, int, int], Float[np.ndarray, "measure 2"]] = {}
        self._whole: dict[int, Scores] = {}

    def top1(self, parts: MaskableParts, keep: Bool[np.ndarray, "part"]) -> Finding:
        """Return the probability that the image of a query comes first, ties broken at random; mean over queries."""
        return self._over_queries("top1_full", first_places(parts.scores(keep)), "1", worst=0.0)

    def measure(self, name: str, parts: MaskableParts, members: Bool[np.ndarray, "part"]) -> tuple[Finding, ...]:
        """Return the four similarities, top-1 accuracy lost and log rank gained with ``members`` masked."""
        similar = zip(SIMILARITIES, parts.similarity(~members), strict=True)
        n, counts = self._counts_compared.shape[1], self._counts_compared
        found = [
            Finding.from_draws(f"{measure}_{name}", float(one.mean()), "1", n, counts @ one / n, no_null=NO_NULL)
            for measure, one in similar
        ]
        whole, masked = self._scores_of_whole(parts), parts.scores(~members)
        lost = zip(LOSSES, _losses(whole, masked), strict=True)
        is_used = _differ(whole, masked)
        return (*found, *(self._over_queries(f"{one}_{name}", table, UNITS[one], is_used=is_used) for one, table in lost))

    def split(self, parts: MaskableParts, groups: Groups) -> tuple[Finding, ...]:
        r"""Divide the top-1 accuracy among groups by their Shapley values.

        Exact, from all :math:`2^n` coalitions: the gain by group :math:`i`, averaged over all orders in which groups can
        join, :math:`\sum_{S \not\ni i} \frac{|S|!\,(n-|S|-1)!}{n!} [v(S \cup i) - v(S)]`, image by image
        (Shapley 1953, https://doi.org/10.1515/9781400881970-018).
        """
        shares, are_used = self._shapley(parts, list(groups.values()))
        return tuple(
            self._over_queries(f"shapley_{name}", table, "1", is_used=bool(is_used))
            for name, table, is_used in zip(groups, shares, are_used, strict=True)
        )

    def random_groups(self, parts: MaskableParts, members: Bool[np.ndarray, "part"]) -> Float[np.ndarray, "measure 2"]:
        """Return the 95 % range of every measure with random groups masked: as many parts of structure, and the same others."""
        key = (id(parts), int(members[: parts.n_structured].sum()), int(members[parts.n_structured :].sum()))
        if key not in self._random:
            generator = generator_for(self._seed, f"random groups of {key[1:]}")
            drawn = []
            for _ in range(self._n_random):
                keep = ~_shuffled(members[None], parts.n_structured, generator)[0]
                drawn.append([float(values.mean()) for values in (*parts.similarity(keep), *self._lost_at_target(parts, keep))])
            self._random[key] = np.array([null_range(column) for column in np.array(drawn).T])
        return self._random[key]

    def random_split(self, parts: MaskableParts, groups: Groups) -> Float[np.ndarray, "group 2"]:
        """Return the 95 % range of the Shapley value of every group if parts are assigned to the groups at random."""
        generator = generator_for(self._seed, "random pathways")
        members = np.stack(list(groups.values()))
        drawn = [
            [float(self._at_target(table).mean()) for table in self._shapley(parts, list(shuffled))[0]]
            for shuffled in (_shuffled(members, parts.n_structured, generator) for _ in range(self._n_random))
        ]
        return np.array([null_range(column) for column in np.array(drawn).T])

    def _at_target(self, table: Float[np.ndarray, "query candidate"]) -> Float[np.ndarray, "query"]:
        found: np.ndarray = table[np.arange(len(self._target)), self._target]
        return found

    def _over_queries(self, name: str, table: Table, units: str, worst: float = -1.0, *, is_used: bool = True) -> Finding:
        """Return the mean over queries with its bootstrap interval, beside that of queries assigned to other images.

        Of accuracies, and of their differences, an imagined image joins the bootstrap, whose answer is ``worst`` or 1. None joins
        where masking leaves every score as it was, but for rounding: these towers do not use the part, and no image can need it.
        """
        values, n = self._at_target(table), len(self._target)
        null = table[np.arange(n), self._elsewhere].mean(axis=1)
        resampled = self._counts @ values / n
        if is_used and units != UNITS["log_rank_loss"]:
            resampled = self._imagined.join(resampled, worst, 1.0)
        return Finding.from_draws(name, float(values.mean()), units, n, resampled, null, NULL)

    def _scores_of_whole(self, parts: MaskableParts) -> Scores:
        if id(parts) not in self._whole:
            self._whole[id(parts)] = parts.scores(np.ones(parts.n_parts, dtype=bool))
        return self._whole[id(parts)]

    def _lost_at_target(self, parts: MaskableParts, keep: Bool[np.ndarray, "part"]) -> tuple[Values, Values]:
        """Return the same for the images of the queries alone, which is much quicker."""
        counts = (count_better_and_tied(scores, self._target) for scores in (self._scores_of_whole(parts), parts.scores(keep)))
        (first, log_rank), (masked_first, masked_log_rank) = (
            (np.where(better == 0, 1 / (tied + 1), 0.0), np.log(1 + better + tied / 2)) for better, tied in counts
        )
        return first - masked_first, masked_log_rank - log_rank

    def _shapley(
        self, parts: MaskableParts, groups: list[Bool[np.ndarray, "part"]]
    ) -> tuple[Float[np.ndarray, "group query candidate"], Bool[np.ndarray, "group"]]:
        """Return the share of each group, query and candidate, and whether a group changes any score whatever it joins."""
        n = len(groups)
        in_none = ~np.any(groups, axis=0)
        scores = {
            kept: parts.scores(np.any([in_none, *(groups[i] for i in kept)], axis=0))
            for size in range(n + 1)
            for kept in combinations(range(n), size)
        }
        value = {kept: first_places(each) for kept, each in scores.items()}
        shares, are_used = np.zeros((n, *value[()].shape)), np.zeros(n, dtype=bool)
        for kept, without in value.items():
            for i in set(range(n)) - set(kept):
                joined = tuple(sorted((*kept, i)))
                shares[i] += (value[joined] - without) / (n * comb(n - 1, len(kept)))
                are_used[i] |= _differ(scores[joined], scores[kept])
        return shares, are_used


def _differ(one: Scores, other: Scores) -> bool:
    """Return whether two sets of scores differ by more than rounding in single precision."""
    return bool(np.abs(one - other).max() > 1e-5 * np.ptp(one))


def _losses(whole: Scores, masked: Scores) -> tuple[Table, Table]:
    """Return accuracy lost and log rank gained of every query, if each candidate were its image."""
    return first_places(whole) - first_places(masked), _log_ranks(masked) - _log_ranks(whole)


def _log_ranks(scores: Scores) -> Table:
    """Return the logarithm of the mean rank of every candidate; of ties each takes the mean of their ranks."""
    return np.asarray(np.log(rankdata(-scores.astype(np.float64), axis=1)))


def _shuffled(
    members: Bool[np.ndarray, "group part"], n_structured: int, generator: np.random.Generator
) -> Bool[np.ndarray, "group part"]:
    """Assign the parts of structure to the groups at random, as many to each; the others stay where they are."""
    return np.concatenate([members[:, generator.permutation(n_structured)], members[:, n_structured:]], axis=1)
