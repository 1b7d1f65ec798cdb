"""Whether the map made of a response is the map of its own image rather than that of another."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float, Float32, Int
from pydantic import Field

from dina.analyses.analysis import AnalysisSettings
from dina.analyses.comparable_maps import ComparableMaps
from dina.analyses.decoded import Decoded
from dina.analyses.image_axes import place_coordinates, stimulus_coordinates
from dina.checks import DataError
from dina.randomness import generator_for
from dina.retrieval.ranks import all_ranks
from dina.statistics.correlation import correlate_all_rows
from dina.statistics.finding import Finding
from dina.statistics.map_similarity import structural_similarity_of_all_pairs
from dina.statistics.resampling import resample_matched_pairs

NULL = "maps of responses paired with maps of other images, permuted over images"
QUANTILES = (0.9, 0.5, 0.1)
RANGE_DEVIATIONS = 6.0  # what counts as full contrast in SSIM: three deviations on either side of the mean


class FeatureMapsSettings(AnalysisSettings):
    """Which maps are compared and shown.

    Parameters
    ----------
    n_similarity
        Test images of which all pairs are compared by structural similarity; correlations use all test images.
    n_channels_shown
        Channels shown for the examples, besides the mean over all.
    """

    n_similarity: int = Field(50, ge=3)
    n_channels_shown: int = Field(2, ge=1)


@dataclass(frozen=True, eq=False)
class FeatureMapsResult:
    """How similar the maps of responses and of images are, for matched and for mismatched pairs.

    ``correlation`` is over all channels and places; the n-th response is that to the n-th image. ``similarity`` is the structural
    similarity averaged over channels, for some of the images. ``by_channel`` holds correlation and structural similarity, each
    averaged over matched and over mismatched pairs. The examples are the images at the 90 %, 50 % and 10 % quantile of the matched
    correlation; ``pixels`` are in units of contrast, maps in deviations of the channel: the mean over channels, then the channels
    with the best matched correlation over validation images.
    """

    correlation: Float[np.ndarray, "response image"]
    similarity: Float[np.ndarray, "compared_response compared_image"]
    by_channel: Float[np.ndarray, "channel 4"]
    channels: tuple[str, ...]
    stimulus_id: tuple[Int[np.ndarray, "image"], Int[np.ndarray, "compared"]]
    examples: tuple[int, ...]
    shown: tuple[str, ...]
    pixels: Float[np.ndarray, "example height width"]
    image_maps: Float32[np.ndarray, "example shown map_height map_width"]
    neural_maps: Float32[np.ndarray, "example shown map_height map_width"]
    form: str
    deg_per_pixel: float | None
    seed: int
    n_resamples: int

    def to_dataset(self) -> xr.Dataset:
        """Return similarities of all pairs, of each channel, and the maps of a few examples."""
        where = ("example", "shown", "map_height", "map_width")
        deviations = {"units": "deviations of the channel over images"}
        variables = {
            "correlation": (("response", "image"), self.correlation, {"units": "1"}),
            "similarity": (("compared_response", "compared_image"), self.similarity, {"units": "1"}),
            "by_channel": (("channel", "measure"), self.by_channel, {"units": "1"}),
            "pixels": (("example", "height", "width"), self.pixels, {"units": "contrast"}),
            "image_maps": (where, self.image_maps, deviations),
            "neural_maps": (where, self.neural_maps, deviations),
            "example_image": (("example",), np.array(self.examples), {"units": "1", "long_name": "position along image"}),
        }
        ids, compared = self.stimulus_id
        axes = {"image": ids, "response": ids, "compared_response": compared, "compared_image": compared}
        extent, maps = self.pixels.shape[1:], self.image_maps.shape[2:]
        coordinates = {
            **stimulus_coordinates(axes | {"example": ids[list(self.examples)]}),
            **place_coordinates(extent),
            **place_coordinates(maps, extent, ("map_height", "map_width")),
            "channel": list(self.channels),
            "measure": ["correlation_matched", "correlation_mismatched", "ssim_matched", "ssim_mismatched"],
            "shown": list(self.shown),
        }
        scale = {} if self.deg_per_pixel is None else {"deg_per_pixel": self.deg_per_pixel}
        return xr.Dataset(variables, coordinates, {"form": self.form, **scale})

    def findings(self) -> tuple[Finding, ...]:
        """Return ``map_correlation``, ``map_ssim`` and ``map_two_way``, matched, beside the same of permuted pairs."""
        beaten = (len(self.correlation) - all_ranks(self.correlation)) / (len(self.correlation) - 1)
        tables = {"map_correlation": self.correlation, "map_ssim": self.similarity, "map_two_way": beaten}
        return tuple(matched_finding(name, pairs, NULL, self.seed, self.n_resamples) for name, pairs in tables.items())


def matched_finding(name: str, pairs: Float[np.ndarray, "item other"], null: str, seed: int, n_resamples: int) -> Finding:
    """Return the mean similarity of matched pairs, which lie on the diagonal, beside that of permuted pairs."""
    generators = (generator_for(seed, f"{purpose} {name}") for purpose in ("bootstrap", "pairing"))
    draws = resample_matched_pairs(pairs, n_resamples, *generators)
    return Finding.from_draws(name, float(pairs.diagonal().astype(np.float64).mean()), "1", len(pairs), *draws, null)


def analyse_feature_maps(decoded: Decoded, settings: FeatureMapsSettings = FeatureMapsSettings()) -> FeatureMapsResult:
    """Compare the maps of responses to test images with the maps of these images.

    Means and the prior of the maps are learnt from training images, see `ComparableMaps`; validation images choose the channels
    to be shown.

    Raises
    ------
    DataError
        If there are fewer than three test images or no fitted towers.
    """
    test = decoded.test
    if test.n_stimuli < 3:
        raise DataError(f"Comparing maps needs at least three test images; there are {test.n_stimuli}. Record more images.")
    reader = ComparableMaps(decoded.towers, decoded.train, decoded.validation, decoded.seed)
    best = _best_channels(reader, decoded, settings.n_channels_shown)
    image, neural = reader.of_images(test.images), reader.of_responses(test.averaged())
    correlation = correlate_all_rows(neural.reshape(len(neural), -1), image.reshape(len(image), -1))
    correlation = np.nan_to_num(correlation)  # a map without any structure correlates with no other
    compared = np.sort(generator_for(decoded.seed, "compared maps").permutation(len(image))[: settings.n_similarity])
    ranges = np.full(len(reader.channels), RANGE_DEVIATIONS)
    similarity = structural_similarity_of_all_pairs(neural[compared], image[compared], ranges)
    examples = at_quantiles(correlation.diagonal(), QUANTILES)
    shown = [maps[list(examples)] for maps in (image, neural)]
    image_maps, neural_maps = (np.concatenate([maps.mean(axis=1, keepdims=True), maps[:, best]], axis=1) for maps in shown)
    return FeatureMapsResult(
        correlation=correlation,
        similarity=similarity.mean(axis=0),
        by_channel=np.concatenate([_by_channel(neural, image), _on_and_off(similarity)], axis=1),
        channels=reader.channels,
        stimulus_id=(test.stimulus_id, test.stimulus_id[compared]),
        examples=examples,
        shown=("mean over channels", *(reader.channels[channel] for channel in best)),
        pixels=test.images[list(examples)].mean(axis=1),
        image_maps=image_maps,
        neural_maps=neural_maps,
        form=reader.form,
        deg_per_pixel=decoded.recording.deg_per_pixel,
        seed=decoded.seed,
        n_resamples=decoded.n_resamples,
    )


def at_quantiles(values: Float[np.ndarray, "item"], quantiles: tuple[float, ...]) -> tuple[int, ...]:
    """Return the positions of the items whose values lie at some quantiles."""
    order = np.argsort(values, kind="stable")
    return tuple(int(order[round(q * (len(order) - 1))]) for q in quantiles)


def _best_channels(reader: ComparableMaps, decoded: Decoded, n: int) -> list[int]:
    """Return the channels whose maps of validation images and responses correlate best."""
    validation = decoded.validation
    matched = _by_channel(reader.of_responses(validation.averaged()), reader.of_images(validation.images))[:, 0]
    return [int(channel) for channel in np.argsort(-matched, kind="stable")[:n]]


def _by_channel(
    neural: Float32[np.ndarray, "image channel height width"], image: Float32[np.ndarray, "image channel height width"]
) -> Float[np.ndarray, "channel 2"]:
    """Return each channel's correlation over places, averaged over matched and over mismatched pairs."""
    pairs = [
        correlate_all_rows(neural[:, c].reshape(len(neural), -1), image[:, c].reshape(len(image), -1))
        for c in range(neural.shape[1])
    ]
    return _on_and_off(np.nan_to_num(np.stack(pairs)))


def _on_and_off(pairs: Float[np.ndarray, "channel row other"]) -> Float[np.ndarray, "channel 2"]:
    """Return the means on and off the diagonal."""
    n = pairs.shape[1]
    matched = np.trace(pairs, axis1=1, axis2=2) / n
    return np.stack([matched, (pairs.sum(axis=(1, 2)) - n * matched) / (n * (n - 1))], axis=1)
