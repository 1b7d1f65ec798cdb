"""Semantic or low-level: what category tells of responses and images beyond low-level structure, and the reverse."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field

from dina.analyses.decoded import Decoded
from dina.analyses.image_axes import stimulus_coordinates
from dina.analyses.semantics.category_decoding import CategoryAccuracy, decode_categories
from dina.analyses.semantics.category_models import CategoryModels, fit_category_models
from dina.analyses.semantics.category_retrieval import CategoryRetrieval, retrieve_by_category
from dina.analyses.semantics.image_categories import CategorisedPairs, categorise
from dina.analyses.semantics.response_partition import Partition, partition_responses
from dina.analyses.semantics.semantic_findings import GalleryStatistics, compare_all_galleries, list_findings
from dina.data.pairs import make_task
from dina.randomness import generator_for
from dina.statistics.finding import Finding
from dina.statistics.resampling import resample_counts


class SemanticsSettings(BaseModel):
    """What can be chosen about the analysis.

    Parameters
    ----------
    n_draws
        How often categories are drawn anew from low-level structure, for every null.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_draws: int = Field(200, ge=40)


DEFAULTS = SemanticsSettings()


@dataclass(frozen=True, eq=False)
class SemanticsResult:
    """What category adds to low-level structure, and low-level structure to category.

    Parameters
    ----------
    models
        The categories and the three models; not written to disk.
    partition
        Of the explained variance of the responses.
    retrieval
        By decoders that can use category, low-level structure or both.
    accuracy
        Of reading the category from responses and from images.
    galleries
        Of own and of other categories at matched low-level distance.
    stimulus_id
        Identities of the labelled test images.
    counts
        The bootstrap resamples of the test images that all intervals share.
    """

    models: CategoryModels
    partition: Partition
    retrieval: CategoryRetrieval
    accuracy: CategoryAccuracy
    galleries: GalleryStatistics
    stimulus_id: Int[np.ndarray, "query"]
    counts: np.ndarray

    def findings(self) -> tuple[Finding, ...]:
        """Return every statistic with interval and null."""
        return list_findings(self.models, self.partition, self.retrieval, self.accuracy, self.galleries, self.counts)

    def to_dataset(self) -> xr.Dataset:
        """Return all numbers that the figures show."""
        share = {"units": "fraction of the explained variance", "long_name": "first entry: fraction of all variance"}
        galleries, accuracy, partition = self.galleries, self.accuracy, self.partition
        variables = {
            "variance_share": ("quantity", partition.value, share),
            "variance_share_low": ("quantity", partition.low, share),
            "variance_share_high": ("quantity", partition.high, share),
            "variance_share_null_low": ("quantity", partition.null_low, share),
            "variance_share_null_high": ("quantity", partition.null_high, share),
            "bits": (("decoder", "query"), self.retrieval.bits, {"units": "bit"}),
            "bits_given_category": ("query", self.retrieval.low_level_bits_given_category, {"units": "bit"}),
            "gain_null": ("draw", self.retrieval.gain_null, {"units": "bit"}),
            "low_level_gain_null": ("draw", self.retrieval.low_level_gain_null, {"units": "bit"}),
            "category_accuracy": ("source", accuracy.value, {"units": "1", "long_name": "balanced accuracy"}),
            "category_accuracy_low": ("source", accuracy.low, {"units": "1"}),
            "category_accuracy_high": ("source", accuracy.high, {"units": "1"}),
            "category_accuracy_null_low": ("source", accuracy.null_low, {"units": "1"}),
            "category_accuracy_null_high": ("source", accuracy.null_high, {"units": "1"}),
            "two_way": (("scored_by", "category", "distance"), galleries.two_way, {"units": "1"}),
            "two_way_low": (("scored_by", "category", "distance"), galleries.two_way_low, {"units": "1"}),
            "two_way_high": (("scored_by", "category", "distance"), galleries.two_way_high, {"units": "1"}),
        }
        coordinates = {
            **stimulus_coordinates({"query": self.stimulus_id}),
            "quantity": list(partition.names),
            "decoder": list(self.retrieval.decoders),
            "source": list(accuracy.names),
            "scored_by": list(galleries.names),
            "category": ["own", "other"],
            "distance": ["near", "far"],
        }
        n_images = self.retrieval.bits.shape[1]
        attributes = {"categories": ", ".join(self.models.names), "n_images": n_images, "n_categories": len(self.models.names)}
        return xr.Dataset(variables, coords=coordinates, attrs=attributes)


def analyse_semantics(decoded: Decoded, settings: SemanticsSettings = DEFAULTS) -> SemanticsResult:
    """Ask whether responses and their decoding know the category of an image beyond its low-level structure.

    Low-level structure is everything that Gabor channels at each place and whole-image statistics predict; category is
    the label of the image. The decoders made here are able to use category, so that "not semantic" is an answer that
    could have been otherwise; the towers being interpreted are asked beside them.

    Parameters
    ----------
    decoded
        With labels; towers are used where there are any.
    settings
        Number of draws.

    Returns
    -------
    result
        Four views of one question, with findings named in `list_findings`.

    Raises
    ------
    DataError
        If the recording has no labels, or too few categories or labelled images.
    """
    parts = categorise(decoded)
    seed = decoded.seed
    models = fit_category_models(parts, settings.n_draws, seed)
    counts = resample_counts(parts.test.n_stimuli, decoded.n_resamples, generator_for(seed, "semantics bootstrap"))
    retrieval = retrieve_by_category(models, generator_for(seed, "semantics exchange of retrieval"))
    scores = {name: retrieval.scores[number] for number, name in enumerate(retrieval.decoders) if name != "category"}
    towers = _tower_scores(decoded, parts)
    if towers is not None:
        scores = {"towers": towers, **scores}
    return SemanticsResult(
        models,
        partition_responses(models, counts, generator_for(seed, "semantics exchange of variance")),
        retrieval,
        decode_categories(models, counts, generator_for(seed, "semantics permutation")),
        compare_all_galleries(scores, models, retrieval, counts, generator_for(seed, "semantics galleries")),
        parts.test.stimulus_id,
        counts,
    )


def _tower_scores(decoded: Decoded, parts: CategorisedPairs) -> Float[np.ndarray, "query gallery"] | None:
    """Return the scores of the fitted towers for the labelled test images, or None where none were fitted."""
    if decoded.fitted is None:
        return None
    task = make_task(parts.test, "averaged")
    return np.asarray(decoded.fitted.score(task.queries, task.gallery), dtype=np.float64)
