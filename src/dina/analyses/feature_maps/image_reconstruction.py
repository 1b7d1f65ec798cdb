"""How much of the image can be rebuilt from the map of a response, and how much from the map of the image itself."""

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Float32, Int
from pydantic import Field

from dina.analyses.analysis import AnalysisSettings
from dina.analyses.comparable_maps import ComparableMaps
from dina.analyses.decoded import Decoded
from dina.analyses.feature_maps.compute import at_quantiles, matched_finding
from dina.analyses.feature_maps.reconstructors import ConvolutionalReconstruction, Examples, LinearReconstruction, coarse_pixels
from dina.analyses.image_axes import place_coordinates, stimulus_coordinates
from dina.checks import DataError
from dina.randomness import generator_for
from dina.retrieval.ranks import all_ranks
from dina.statistics.correlation import correlate_all_rows
from dina.statistics.finding import Finding
from dina.statistics.map_similarity import structural_similarity_of_all_pairs

NULL = "reconstructions compared with other test images, permuted over images"
OF_IMAGES = "reconstructions from images' own maps compared with other test images, permuted over images"
QUANTILES = (0.9, 0.7, 0.5, 0.3, 0.1)
FROM_IMAGE_MAP = "linear_from_image_map"
METHODS = ("linear", "convolutional", FROM_IMAGE_MAP)
FULL_RANGE = 4.0  # of contrast: 256 levels of 8-bit pixels, 64 to a unit
IMAGES_AT_ONCE = 64
FEWEST_PLACES = 4


class ImageReconstructionSettings(AnalysisSettings):
    """How images are rebuilt, and what is compared.

    Parameters
    ----------
    n_train
        Most training images that reconstruction is learnt from.
    most_pixels
        Images are averaged over blocks, a whole number of pixels per place of the map, to about so many pixels.
    n_epochs
        Of the convolutional network; validation chooses among them.
    n_similarity
        Test images of which all pairs are compared by structural similarity; correlations use all test images.
    """

    n_train: int = Field(600, ge=10)
    most_pixels: int = Field(4000, ge=16)
    n_epochs: int = Field(12, ge=1)
    n_similarity: int = Field(50, ge=3)


@dataclass(frozen=True, eq=False)
class ImageReconstructionResult:
    """Reconstructed test images beside the true ones.

    ``correlation`` is over pixels, of each reconstruction with each test image, both as deviations from the mean training image; NaN
    for a method that could not be used, with its ``reason``. ``similarity`` is structural, of some reconstructions with the mean
    training image added. The examples are the images at the 90, 70 … 10 % quantile of the linear reconstruction's correlation;
    ``pixels`` and ``rebuilt`` (without the mean) are in units of contrast. ``chosen`` holds what validation chose, by name.
    """

    correlation: Float[np.ndarray, "method test_image other_image"]
    similarity: Float[np.ndarray, "method compared_image other_compared_image"]
    stimulus_id: tuple[Int[np.ndarray, "image"], Int[np.ndarray, "compared"]]
    examples: tuple[int, ...]
    pixels: Float32[np.ndarray, "example height width"]
    rebuilt: Float32[np.ndarray, "method example height width"]
    image_shape: tuple[int, int]
    chosen: dict[str, float]
    reason: str
    seed: int
    n_resamples: int

    def to_dataset(self) -> xr.Dataset:
        """Return similarities of all pairs and a few examples."""
        variables = {
            "correlation": (("method", "test_image", "other_image"), self.correlation, {"units": "1"}),
            "similarity": (("method", "compared_image", "other_compared_image"), self.similarity, {"units": "1"}),
            "pixels": (("example", "height", "width"), self.pixels, {"units": "contrast"}),
            "rebuilt": (("method", "example", "height", "width"), self.rebuilt, {"units": "contrast"}),
            "example_image": (("example",), np.array(self.examples), {"units": "1", "long_name": "position along test_image"}),
            "quantile": (("example",), np.array(QUANTILES), {"units": "1"}),
        }
        ids, compared = self.stimulus_id
        axes = {"test_image": ids, "other_image": ids, "compared_image": compared, "other_compared_image": compared}
        coordinates = {
            **stimulus_coordinates(axes | {"example": ids[list(self.examples)]}),
            **place_coordinates(self.pixels.shape[1:], self.image_shape),
            "method": list(METHODS),
        }
        return xr.Dataset(variables, coordinates, {**self.chosen, "reason": self.reason})

    def findings(self) -> tuple[Finding, ...]:
        """Return pixel correlation, structural similarity and two-way identification of each method, with their nulls."""
        found = []
        for number, method in enumerate(METHODS):
            correlation, null = self.correlation[number], OF_IMAGES if method == FROM_IMAGE_MAP else NULL
            beaten = (len(correlation) - all_ranks(np.nan_to_num(correlation))) / (len(correlation) - 1)
            tables = {"pixel_correlation": correlation, "ssim": self.similarity[number], "two_way": beaten}
            for measure, pairs in tables.items():
                name = f"{measure}_{method}"
                if np.isnan(correlation).any():
                    found.append(Finding(name, np.nan, "1", len(pairs), reason=self.reason))
                    continue
                found.append(matched_finding(name, pairs, null, self.seed, self.n_resamples))
        return tuple(found)


def analyse_image_reconstruction(
    decoded: Decoded, settings: ImageReconstructionSettings = ImageReconstructionSettings()
) -> ImageReconstructionResult:
    """Rebuild test images from the maps of the averaged responses to them.

    Both reconstructions are learnt from training images and their own maps, without any response, so that everything they
    rebuild from the map of a response is in that map. Validation responses choose the ridge penalty, and the epoch of the
    network.

    Raises
    ------
    DataError
        If there are fewer than three test images or no fitted towers.
    """
    test = decoded.test
    if test.n_stimuli < 3:
        raise DataError(f"Reconstruction needs at least three test images; there are {test.n_stimuli}. Record more images.")
    reader = ComparableMaps(decoded.towers, decoded.train, decoded.validation, decoded.seed)
    rows = generator_for(decoded.seed, "images of reconstruction").permutation(decoded.train.n_stimuli)[: settings.n_train]
    known = decoded.train.images[np.sort(rows)]
    maps = _image_maps(reader, known)
    pixels = coarse_pixels(known, (maps.shape[2], maps.shape[3]), settings.most_pixels)
    mean = pixels.mean(axis=0)
    train = Examples(maps, pixels - mean)
    held_out, shown = (
        coarse_pixels(part.images, (maps.shape[2], maps.shape[3]), settings.most_pixels) - mean
        for part in (decoded.validation, test)
    )
    from_responses = [torch.from_numpy(reader.of_responses(part.averaged())).half() for part in (decoded.validation, test)]
    validation = Examples(from_responses[0], held_out)
    linear = LinearReconstruction.learn(train, validation)
    rebuilt = [linear.apply(from_responses[1])]
    chosen = {"penalty": linear.penalty}
    n_places = train.maps.shape[2] * train.maps.shape[3]
    if n_places < FEWEST_PLACES:
        reason = f"The map has {n_places} places: a convolutional network needs at least {FEWEST_PLACES} to put pixels anywhere."
        rebuilt.append(np.full_like(shown, np.nan))
    else:
        reason = ""
        network = ConvolutionalReconstruction.learn(train, validation, settings.n_epochs, decoded.seed)
        rebuilt.append(network.apply_to(from_responses[1]))
        chosen["epochs"] = network.n_epochs
    from_image = LinearReconstruction.learn(train, Examples(_image_maps(reader, decoded.validation.images), held_out))
    rebuilt.append(from_image.apply(_image_maps(reader, test.images)))
    return _compare(decoded, settings, np.stack(rebuilt), shown, mean, chosen, reason)


def _compare(
    decoded: Decoded,
    settings: ImageReconstructionSettings,
    rebuilt: Float32[np.ndarray, "method image height width"],
    pixels: Float32[np.ndarray, "image height width"],
    mean: Float32[np.ndarray, "height width"],
    chosen: dict[str, float],
    reason: str,
) -> ImageReconstructionResult:
    """Compare all reconstructions with all test images, and pick the examples."""
    n = len(pixels)
    known = ~np.isnan(rebuilt).any(axis=(1, 2, 3))
    correlation = np.full((len(METHODS), n, n), np.nan)
    compared = np.sort(generator_for(decoded.seed, "compared images").permutation(n)[: settings.n_similarity])
    similarity = np.full((len(METHODS), len(compared), len(compared)), np.nan)
    shown = (pixels + mean)[compared, None]
    for number in np.flatnonzero(known):
        flat = rebuilt[number].reshape(n, -1)
        correlation[number] = np.nan_to_num(correlate_all_rows(flat, pixels.reshape(n, -1)))
        whole = (rebuilt[number] + mean)[compared, None]
        similarity[number] = structural_similarity_of_all_pairs(whole, shown, np.array([FULL_RANGE]))[0]
    examples = at_quantiles(correlation[0].diagonal(), QUANTILES)
    return ImageReconstructionResult(
        correlation=correlation,
        similarity=similarity,
        stimulus_id=(decoded.test.stimulus_id, decoded.test.stimulus_id[compared]),
        examples=examples,
        pixels=(pixels + mean)[list(examples)],
        rebuilt=rebuilt[:, list(examples)],
        image_shape=decoded.test.images.shape[2:],
        chosen=chosen,
        reason=reason,
        seed=decoded.seed,
        n_resamples=decoded.n_resamples,
    )


def _image_maps(reader: ComparableMaps, images: np.ndarray) -> torch.Tensor:
    """Return the maps of images in half precision: hundreds of large maps take hundreds of megabytes."""
    chunks = (images[first : first + IMAGES_AT_ONCE] for first in range(0, len(images), IMAGES_AT_ONCE))
    return torch.cat([torch.from_numpy(reader.of_images(chunk)).half() for chunk in chunks])
