"""How much of the image can be rebuilt from the map of a response, and how much from the map of the image itself."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from jaxtyping import Float, Float32
from pydantic import Field
from torch import Tensor, nn

from dina.analyses.analysis import AnalysisSettings, PlainResult
from dina.analyses.comparable_maps import ComparableMaps
from dina.analyses.decoded import Decoded
from dina.analyses.feature_maps.compute import at_quantiles, how_often_beaten, matched_finding
from dina.checks import DataError
from dina.models.penalties import check_penalties, note_ends
from dina.models.towers.map_geometry import resize_bilinear
from dina.models.towers.tower import initialise
from dina.randomness import generator_for, seed_for
from dina.shapes import ContrastImages, place_coordinates, stimulus_coordinates
from dina.statistics.correlation import correlate_all_rows, correlate_rows
from dina.statistics.finding import Finding
from dina.statistics.map_similarity import structural_similarity_of_all_pairs

# Ridge penalties relative to the mean eigenvalue; validation images choose.
PENALTIES = tuple(float(10.0**power) for power in np.arange(-4.0, 3.0, 0.5))

MOST_INPUTS = 1500
MOST_ROWS = 200_000
LEARNING_RATE = 3e-3
BATCH = 32
WIDTH = 16

Maps = Float[Tensor, "image channel map_height map_width"]
Pixels = Float32[np.ndarray, "image height width"]


@dataclass(frozen=True, eq=False)
class Examples:
    """Standardised maps with the images that they stand for, as deviations from the mean training image in units of contrast.

    Images have a whole number of pixels for each place of the map.
    """

    maps: Maps
    pixels: Pixels


@dataclass(frozen=True, eq=False)
class LinearReconstruction:
    """The pixels of each place are weighted sums of the map around it; the weights are the same at every place.

    ``penalty`` is relative to the mean eigenvalue and chosen by validation; ``gain`` fits the contrast of validation images best;
    ``reach`` places on either side are read: 1, or 0 for maps of many channels; ``block`` is the pixels of each place.
    """

    weights: Float[Tensor, "input pixel_of_place"]
    penalty: float
    gain: float
    reach: int
    block: tuple[int, int]

    @classmethod
    @torch.no_grad()
    def learn(cls, train: Examples, validation: Examples) -> Self:
        """Learn from ``train``; take the penalty with the highest mean pixel correlation on ``validation``."""
        n, n_channels, height, width = train.maps.shape
        reach = 1 if 9 * n_channels <= MOST_INPUTS and height * width > 1 else 0
        block = (train.pixels.shape[1] // height, train.pixels.shape[2] // width)
        rows = np.linspace(0, n - 1, max(1, min(n, MOST_ROWS // (height * width)))).round().astype(int)
        power, product = torch.zeros(()), torch.zeros(())
        for part in np.array_split(rows, -(-len(rows) // IMAGES_AT_ONCE)):
            inputs = _around(train.maps[torch.from_numpy(part)], reach)
            power = power + (inputs.T @ inputs).double()
            product = product + (inputs.T @ _to_places(train.pixels[part], block)).double()
        values, vectors = torch.linalg.eigh(power)
        values, projected = values.clamp_min(0), vectors.T @ product
        shrunk = torch.stack(
            [projected / (values + penalty * values.mean() + 1e-12)[:, None] for penalty in check_penalties(PENALTIES)]
        )
        weights = (vectors @ shrunk).float()
        rebuilt = _rebuild(validation.maps, weights, reach, block)
        best = int(np.argmax([_pixel_correlation(raw, validation.pixels).mean() for raw in rebuilt]))
        raw = rebuilt[best]
        gain = max(0.0, float((raw * validation.pixels).sum() / max(float((raw**2).sum()), 1e-12)))
        return cls(weights[best], PENALTIES[best], gain, reach, block)

    @torch.no_grad()
    def apply(self, maps: Maps) -> Pixels:
        """Return the reconstructed deviations from the mean training image, in units of contrast."""
        rebuilt: Pixels = _rebuild(maps, self.gain * self.weights[None], self.reach, self.block)[0]
        return rebuilt


def _rebuild(
    maps: Maps, weights: Float[Tensor, "choice input pixel_of_place"], reach: int, block: tuple[int, int]
) -> Float32[np.ndarray, "choice image height width"]:
    """Return reconstructions by several weights: the surroundings of the places are gathered once for all."""
    height, width = maps.shape[2:]
    by_input = weights.transpose(0, 1).flatten(1)
    rebuilt = []
    for chunk in torch.split(maps, IMAGES_AT_ONCE):
        found = (_around(chunk, reach) @ by_input).reshape(len(chunk), height, width, len(weights), *block)
        rebuilt.append(found.permute(3, 0, 1, 4, 2, 5).reshape(len(weights), len(chunk), height * block[0], width * block[1]))
    return np.asarray(torch.cat(rebuilt, dim=1).numpy())


def _around(maps: Maps, reach: int) -> Float[Tensor, "place_of_image input"]:
    """Return for every place of every map all channels there and up to ``reach`` places away; beyond the border 0."""
    inputs = F.unfold(maps.float(), 2 * reach + 1, padding=reach)
    return inputs.transpose(1, 2).flatten(0, 1)


def _to_places(pixels: Pixels, block: tuple[int, int]) -> Float[Tensor, "place_of_image pixel_of_place"]:
    n, height, width = pixels.shape
    parts = torch.from_numpy(pixels).reshape(n, height // block[0], block[0], width // block[1], block[1])
    return parts.permute(0, 1, 3, 2, 4).reshape(-1, block[0] * block[1])


class ConvolutionalReconstruction(nn.Module):
    """Two convolutions on the map, bilinear enlargement to the size of the image, one more convolution.

    It has a few thousand weights, the same at every place. So it cannot memorise images: it adds only what neighbouring places and
    channels say together.
    """

    def __init__(self, n_channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.mixing = nn.Conv2d(n_channels, WIDTH, 1)
        self.around = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.pixels = nn.Conv2d(WIDTH, 1, 5, padding=2)
        self.n_epochs = 0
        self.gain = 1.0

    @classmethod
    def learn(cls, train: Examples, validation: Examples, n_epochs: int, seed: int) -> "ConvolutionalReconstruction":
        """Learn from ``train`` by squared error; keep the epoch with the highest mean pixel correlation on ``validation``."""
        network = cls(train.maps.shape[1], (int(train.pixels.shape[1]), int(train.pixels.shape[2])))
        initialise(network, torch.Generator().manual_seed(seed_for(seed, "reconstruction weights")))
        optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=1e-3)
        pixels = torch.from_numpy(train.pixels)
        highest, best = -np.inf, {name: value.clone() for name, value in network.state_dict().items()}
        for epoch in range(1, n_epochs + 1):
            order = torch.from_numpy(generator_for(seed, f"reconstruction batches {epoch}").permutation(len(pixels)))
            for rows in torch.split(order, BATCH):
                optimiser.zero_grad(set_to_none=True)
                F.mse_loss(network(train.maps[rows].float()), pixels[rows]).backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            accuracy = float(_pixel_correlation(network.apply_to(validation.maps), validation.pixels).mean())
            if accuracy > highest:
                highest, network.n_epochs = accuracy, epoch
                best = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(best)
        raw = network.apply_to(validation.maps)
        network.gain = max(0.0, float((raw * validation.pixels).sum() / max(float((raw**2).sum()), 1e-12)))
        return network

    def forward(self, maps: Maps) -> Float[Tensor, "image height width"]:
        """Return the reconstructed deviations from the mean training image, in units of contrast."""
        around = F.relu(self.around(F.relu(self.mixing(maps))))
        return self.gain * self.pixels(resize_bilinear(around, self.size))[:, 0]

    @torch.no_grad()
    def apply_to(self, maps: Maps) -> Pixels:
        """Return the reconstructions as an array, some maps at a time."""
        return np.asarray(torch.cat([self(chunk.float()) for chunk in torch.split(maps, IMAGES_AT_ONCE)]).numpy())


def _pixel_correlation(first: Pixels, second: Pixels) -> Float[np.ndarray, "image"]:
    """Return the correlation over pixels of each image with its counterpart; 0 where one of them is flat."""
    return np.nan_to_num(correlate_rows(first.reshape(len(first), -1), second.reshape(len(second), -1)))


def coarse_pixels(
    images: ContrastImages, grid: tuple[int, int], most: int
) -> Float32[np.ndarray, "stimulus coarse_height coarse_width"]:
    """Return grey images with a whole number of pixels for each place of a grid, about ``most`` in all or fewer.

    Examples
    --------
    >>> coarse_pixels(np.ones((1, 3, 8, 12), np.float32), (2, 3), 24).shape
    (1, 4, 6)
    """
    grey = torch.from_numpy(np.ascontiguousarray(images.mean(axis=1, keepdims=True)))
    height, width = grey.shape[2:]
    shrink = max(1.0, (height * width / most) ** 0.5)
    rows, columns = (max(1, round(extent / shrink / places)) for extent, places in zip((height, width), grid, strict=True))
    size = (rows * grid[0], columns * grid[1])
    return np.asarray(torch.cat([F.adaptive_avg_pool2d(part, size)[:, 0] for part in torch.split(grey, 256)]).numpy())


QUANTILES = (0.9, 0.7, 0.5, 0.3, 0.1)
OTHERS = "compared with other test images, permuted over images"
NULLS = dict.fromkeys(("linear", "convolutional"), f"reconstructions {OTHERS}")
FROM_IMAGE = "linear_from_image_map"
METHODS = (*NULLS, FROM_IMAGE)
NO_NULL = "Read from the maps of the images themselves, without responses, so that there is no null; this is what a reconstruction can reach."
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


def analyse_image_reconstruction(
    decoded: Decoded, settings: ImageReconstructionSettings = ImageReconstructionSettings()
) -> PlainResult:
    """Rebuild test images from the maps of the averaged responses to them.

    Both reconstructions are learnt from training images and their own maps, without any response, so that everything they
    rebuild from the map of a response is in that map. Validation responses choose the ridge penalty, and the epoch of the
    network.

    ``correlation`` is over pixels, of each reconstruction with each test image, both as deviations from the mean training image;
    NaN for a method that could not be used, with its ``reason``. ``similarity`` is structural, of some reconstructions with the mean
    training image added. The examples are the images at the 90, 70 … 10 % quantile of the linear reconstruction's correlation;
    ``rebuilt`` is without the mean. Findings are pixel correlation, structural similarity and two-way identification of each
    method, with their nulls.

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
    chosen: dict[str, float | str] = {"form": reader.form, "penalty": linear.penalty, **note_ends([linear.penalty], PENALTIES)}
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
    chosen: dict[str, float | str],
    reason: str,
) -> PlainResult:
    """Compare all reconstructions with all test images, and pick the examples."""
    n = len(pixels)
    correlation = np.full((len(METHODS), n, n), np.nan)
    compared = np.sort(generator_for(decoded.seed, "compared images").permutation(n)[: settings.n_similarity])
    similarity = np.full((len(METHODS), len(compared), len(compared)), np.nan)
    shown, findings = (pixels + mean)[compared, None], []
    for number, method in enumerate(METHODS):
        names = [f"{measure}_{method}" for measure in ("pixel_correlation", "ssim", "two_way")]
        if np.isnan(rebuilt[number]).any():
            counts = (n, len(compared), n)
            findings += [Finding(name, np.nan, "1", count, reason=reason) for name, count in zip(names, counts, strict=True)]
            continue
        correlation[number] = np.nan_to_num(correlate_all_rows(rebuilt[number].reshape(n, -1), pixels.reshape(n, -1)))
        whole = (rebuilt[number] + mean)[compared, None]
        similarity[number] = structural_similarity_of_all_pairs(whole, shown, np.array([FULL_RANGE]))[0]
        tables = correlation[number], similarity[number], how_often_beaten(correlation[number])
        found = [matched_finding(name, pairs, NULLS.get(method, ""), decoded) for name, pairs in zip(names, tables, strict=True)]
        findings += found if method in NULLS else [one.without_null(NO_NULL) for one in found]
    examples = at_quantiles(correlation[0].diagonal(), QUANTILES)
    variables = {
        "correlation": (("method", "test_image", "other_image"), correlation, {"units": "1"}),
        "similarity": (("method", "compared_image", "other_compared_image"), similarity, {"units": "1"}),
        "pixels": (("example", "height", "width"), (pixels + mean)[examples], {"units": "contrast"}),
        "rebuilt": (("method", "example", "height", "width"), rebuilt[:, examples], {"units": "contrast"}),
        "example_image": (("example",), np.array(examples), {"units": "1", "long_name": "position along test_image"}),
        "quantile": (("example",), np.array(QUANTILES), {"units": "1"}),
    }
    ids, some = decoded.test.stimulus_id, decoded.test.stimulus_id[compared]
    axes = {"test_image": ids, "other_image": ids, "compared_image": some, "other_compared_image": some, "example": ids[examples]}
    places = place_coordinates(pixels.shape[1:], decoded.test.images.shape[2:])
    coordinates = {**stimulus_coordinates(axes), **places, "method": list(METHODS)}
    return PlainResult(xr.Dataset(variables, coordinates, {**chosen, "reason": reason}), tuple(findings))


def _image_maps(reader: ComparableMaps, images: np.ndarray) -> torch.Tensor:
    """Return the maps of images in half precision: hundreds of large maps take hundreds of megabytes."""
    chunks = (images[first : first + IMAGES_AT_ONCE] for first in range(0, len(images), IMAGES_AT_ONCE))
    return torch.cat([torch.from_numpy(reader.of_images(chunk)).half() for chunk in chunks])
