"""Whether the map made of a response is the map of its own image rather than that of another."""

import numpy as np
import xarray as xr
from jaxtyping import Float, Float32
from pydantic import Field

from dina.analyses.analysis import AnalysisSettings, PlainResult
from dina.analyses.comparable_maps import ComparableMaps
from dina.analyses.decoded import Decoded
from dina.checks import DataError
from dina.randomness import generator_for
from dina.retrieval.ranks import all_ranks
from dina.shapes import place_coordinates, stimulus_coordinates
from dina.statistics.correlation import correlate_all_rows
from dina.statistics.finding import Finding
from dina.statistics.imagined_image import ImaginedImage
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


def matched_finding(name: str, pairs: Float[np.ndarray, "item other"], null: str, decoded: Decoded) -> Finding:
    """Return the mean similarity of matched pairs, which lie on the diagonal, beside that of permuted pairs."""
    generators = (generator_for(decoded.seed, f"{purpose} {name}") for purpose in ("bootstrap", "pairing"))
    resamples, null_draws = resample_matched_pairs(pairs, decoded.n_resamples, *generators)
    if "two_way" in name:  # a share of the other images: an imagined image fits worse than one of them, or than none
        imagined = ImaginedImage.draw(len(pairs), decoded.n_resamples, generator_for(decoded.seed, f"imagined image {name}"))
        resamples = imagined.join(resamples, 1 - 1 / (len(pairs) - 1), 1.0)
    value = float(pairs.diagonal().astype(np.float64).mean())
    return Finding.from_draws(name, value, "1", len(pairs), resamples, null_draws, null)


def analyse_feature_maps(decoded: Decoded, settings: FeatureMapsSettings = FeatureMapsSettings()) -> PlainResult:
    """Compare the maps of responses to test images with the maps of these images.

    Means and the prior of the maps are learnt from training images, see `ComparableMaps`; validation images choose the channels
    to be shown. ``correlation`` is over all channels and places; the n-th response is that to the n-th image. ``similarity`` is the
    structural similarity averaged over channels, for some of the images; ``by_channel`` averages both over matched and over
    mismatched pairs. The examples are the images at the 90, 50 and 10 % quantile of the matched correlation, each with its mean
    map over channels and the channels with the best matched correlation over validation images. Findings are
    ``map_correlation``, ``map_ssim`` and ``map_two_way``, matched, beside the same of permuted pairs.

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
    by_channel = structural_similarity_of_all_pairs(neural[compared], image[compared], ranges)
    similarity = by_channel.mean(axis=0)
    examples = at_quantiles(correlation.diagonal(), QUANTILES)
    shown = [
        np.concatenate([maps[examples].mean(axis=1, keepdims=True), maps[examples][:, best]], axis=1) for maps in (image, neural)
    ]
    where, deviations = ("example", "shown", "map_height", "map_width"), {"units": "deviations of the channel over images"}
    measures = np.concatenate([_by_channel(neural, image), _on_and_off(by_channel)], axis=1)
    variables = {
        "correlation": (("response", "image"), correlation, {"units": "1"}),
        "similarity": (("compared_response", "compared_image"), similarity, {"units": "1"}),
        "by_channel": (("channel", "measure"), measures, {"units": "1"}),
        "pixels": (("example", "height", "width"), test.images[examples].mean(axis=1), {"units": "contrast"}),
        "image_maps": (where, shown[0], deviations),
        "neural_maps": (where, shown[1], deviations),
        "example_image": (("example",), np.array(examples), {"units": "1", "long_name": "position along image"}),
    }
    ids, some, extent = test.stimulus_id, test.stimulus_id[compared], test.images.shape[2:]
    axes = {"image": ids, "response": ids, "compared_response": some, "compared_image": some, "example": ids[examples]}
    coordinates = {
        **stimulus_coordinates(axes),
        **place_coordinates(extent),
        **place_coordinates(image.shape[2:], extent, ("map_height", "map_width")),
        "channel": list(reader.channels),
        "measure": ["correlation_matched", "correlation_mismatched", "ssim_matched", "ssim_mismatched"],
        "shown": ["mean over channels", *(reader.channels[channel] for channel in best)],
    }
    degrees, block = decoded.recording.deg_per_pixel, decoded.recording.block_px
    attributes = {"form": reader.form} | ({} if degrees is None else {"deg_per_pixel": degrees})
    attributes |= {} if block is None else {"block_px": block}
    tables = {"map_correlation": correlation, "map_ssim": similarity, "map_two_way": how_often_beaten(correlation)}
    findings = tuple(matched_finding(name, pairs, NULL, decoded) for name, pairs in tables.items())
    return PlainResult(xr.Dataset(variables, coordinates, attributes), findings)


def how_often_beaten(pairs: Float[np.ndarray, "item other"]) -> Float[np.ndarray, "item other"]:
    """Return for each pair the share of the other pairs of its row that are less similar, ties divided."""
    return (len(pairs) - all_ranks(pairs)) / (len(pairs) - 1)


def at_quantiles(values: Float[np.ndarray, "item"], quantiles: tuple[float, ...]) -> list[int]:
    """Return the positions of the items whose values lie at some quantiles."""
    order = np.argsort(values, kind="stable")
    return [int(order[round(q * (len(order) - 1))]) for q in quantiles]


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
