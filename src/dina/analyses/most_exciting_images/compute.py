"""The image that excites a neuron most according to an encoding model, and whether a second model agrees."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from dina.analyses.analysis import AnalysisSettings, PlainResult
from dina.analyses.comparable_maps import channel_names
from dina.analyses.decoded import Decoded
from dina.analyses.neuron_strength import measure_strength
from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.models.encoding import EncodingModel, Windows
from dina.models.local_ridge import LocalWeights
from dina.models.towers.tower import ImageTower
from dina.randomness import generator_for
from dina.shapes import place_coordinates
from dina.statistics.correlation import correlate_all_rows, correlate_columns
from dina.statistics.finding import Finding
from dina.statistics.resampling import resample_counts

NULL = "images of other neurons, permuted over neurons"
WIDTHS = (0.75, 1.5, 2.5)
FIELD_ORDER = 2
IMAGES_AT_ONCE = 64
FEWEST_NEURONS = 3
# Range of contrast of 8-bit pixels about mid grey, 64 levels to a unit.
DARKEST, BRIGHTEST = -2.0, 2.0
N_PROJECTIONS = 3

# From images to the response of every neuron, shape ``(n_images, n_neurons)``, differentiable.
Drive = Callable[[Tensor], Tensor]


class MostExcitingImagesSettings(AnalysisSettings):
    """Which neurons, and how their images are made.

    Parameters
    ----------
    n_neurons
        Neurons shown: those that left-out training images predict best.
    n_candidates
        Neurons among which these are sought: those with the largest signal-to-noise ratio.
    n_train
        Most training images used, half of them by each model.
    n_steps
        Of gradient ascent.
    step
        Length of the first step as a fraction of the length of the image; the last is a tenth of it.
    blur_px
        Standard deviation of the blur of gradients, in pixels.
    """

    n_neurons: int = Field(8, ge=FEWEST_NEURONS)
    n_candidates: int = Field(60, ge=FEWEST_NEURONS)
    n_train: int = Field(1000, ge=20)
    n_steps: int = Field(60, ge=1)
    step: float = Field(0.2, gt=0)
    blur_px: float = Field(1.0, ge=0)


DEFAULTS = MostExcitingImagesSettings()


def analyse_most_exciting_images(decoded: Decoded, settings: MostExcitingImagesSettings = DEFAULTS) -> PlainResult:
    """Make most exciting images of the best-predicted neurons, with two encoding models on disjoint training images.

    An encoding model is a ridge regression from the image tower's map to the neuron, around its field where the map has
    places. An image is made with one model and rated by the other, which was fitted on other images: an image that only
    exploits errors of the first model does not excite the second one. No animal has seen these images.

    ``agreement`` correlates, over pixels, the first model's image of one neuron with the second model's image of another.
    ``beaten`` is the share of test images, brought to the same contrast, that the second model rates below the first model's
    image: for a neuron (first axis), the image made for another (second axis). ``test_correlation`` is that of the first model's
    prediction with the averaged response over test images. ``predicted_deviation`` is the deviation over test images of what each
    model predicts: 0 where it predicts the same for all of them, so that no image excites it more than another. Findings are ``mei_agreement`` and ``mei_beats_images``: the means of
    the first two over neurons, with bootstrap intervals over neurons and the same with neurons permuted.

    Raises
    ------
    DataError
        If there are fewer than 20 training images, fewer than three neurons, or no fitted towers.

    References
    ----------
    Walker et al. (2019), Nat. Neurosci. 22:2060. https://doi.org/10.1038/s41593-019-0517-x
    """
    train, tower = decoded.train, decoded.towers.image_tower
    if train.n_stimuli < 20 or train.n_neurons < FEWEST_NEURONS:
        raise DataError(
            f"Most exciting images need at least 20 training images and {FEWEST_NEURONS} neurons; there are {train.n_stimuli} and"
            f" {train.n_neurons}. Record more."
        )
    rows = generator_for(decoded.seed, "halves of the images").permutation(train.n_stimuli)[: settings.n_train]
    maps = _read_maps(tower, train.images[rows], decoded)
    responses = torch.from_numpy(train.averaged()[rows]).to(maps.device)
    half = len(rows) // 2
    neurons = _choose(maps[:half], responses[:half], train, settings)
    models = [_fit(tower, maps[part], responses[part][:, neurons]) for part in (slice(0, half), slice(half, None))]
    contrast = float(np.median(train.images[rows].std(axis=(1, 2, 3))))
    # each model begins elsewhere: what is left of a common beginning would look like agreement
    shape = (len(models), len(neurons), *train.images.shape[1:])
    start = generator_for(decoded.seed, "first images").standard_normal(shape).astype(np.float32)
    exciting = []
    for number, (model, begin) in enumerate(zip(models, start, strict=True)):
        make = partial(_make_images, model, torch.from_numpy(begin).to(maps.device), contrast, settings)
        made = decoded.parts.get(f"model {number}", make)["images"]
        exciting.append(torch.from_numpy(made).to(maps.device))
    natural = at_contrast(torch.from_numpy(train.images[rows]), contrast)
    best = _rate(models[0], natural, decoded).argmax(axis=0)
    test = decoded.test
    rated = _rate(models[1], at_contrast(torch.from_numpy(test.images), contrast), decoded)
    by_second = _rate(models[1], exciting[0].cpu(), decoded)
    flat = [images.flatten(1).cpu().numpy() for images in exciting]
    predicted = _rate(models[0], torch.from_numpy(test.images), decoded)
    agreement = np.nan_to_num(correlate_all_rows(flat[0], flat[1]))
    beaten = (rated[:, :, None] < by_second.T[None]).mean(axis=0)
    correlation = np.nan_to_num(correlate_columns(predicted, test.averaged()[:, neurons].astype(np.float64)))
    where, pairs = ("neuron", "height", "width"), ("neuron", "other_neuron")
    variables = {
        "exciting": (("model", *where), torch.stack(exciting).mean(2).cpu().numpy(), {"units": "contrast"}),
        "best_natural": (where, natural[torch.from_numpy(best)].mean(1).numpy(), {"units": "contrast"}),
        "agreement": (pairs, agreement, {"units": "1"}),
        "beaten": (pairs, beaten, {"units": "1"}),
        "test_correlation": (("neuron",), correlation, {"units": "1"}),
        "predicted_deviation": (("model", "neuron"), np.stack([predicted.std(axis=0), rated.std(axis=0)]), {"units": "1"}),
        "neuron_index": (("neuron",), neurons, {"units": "1", "long_name": "position in the recording"}),
    }
    coordinates = {"model": ["first half", "second half"], **place_coordinates(test.images.shape[2:])}
    findings = (_over_neurons("mei_agreement", agreement, decoded), _over_neurons("mei_beats_images", beaten, decoded))
    return PlainResult(xr.Dataset(variables, coordinates, {"contrast": contrast, "n_colours": train.images.shape[1]}), findings)


def _over_neurons(name: str, pairs: Float[np.ndarray, "neuron other_neuron"], decoded: Decoded) -> Finding:
    """Return the mean over neurons (on the diagonal), with its interval, beside that of pairs of different neurons."""
    n, same, n_resamples = len(pairs), pairs.diagonal(), decoded.n_resamples
    counts = resample_counts(n, n_resamples, generator_for(decoded.seed, f"bootstrap {name}"))
    order = generator_for(decoded.seed, f"neurons {name}").permuted(np.tile(np.arange(n), (n_resamples, 1)), axis=1)
    null = pairs[np.arange(n), order].mean(axis=1)
    return Finding.from_draws(name, float(same.mean()), "1", n, counts @ same / n, null, NULL)


def excite(
    drive: Drive, start: Float[Tensor, "neuron channel height width"], contrast: float, settings: MostExcitingImagesSettings
) -> Float[Tensor, "neuron channel height width"]:
    """Change the n-th image, which begins at ``start``, step by step, so that the n-th neuron responds more and more strongly.

    At every step each image has the root mean square ``contrast`` about its mean of 0. The length of the steps falls linearly to a
    tenth. Gradients are blurred by a Gaussian against fine noise.
    """
    images = at_contrast(start, contrast)
    for number in range(settings.n_steps):
        seen = images.detach().requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(drive(seen).diagonal().sum(), seen)
        gradient = blur(torch.nan_to_num(gradient), settings.blur_px)
        length = gradient.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None, None]
        size = (
            settings.step * (1 - 0.9 * number / max(1, settings.n_steps - 1)) * images.flatten(1).norm(dim=1)[:, None, None, None]
        )
        images = at_contrast(images + size * gradient / length, contrast)
    return images.detach()


def at_contrast(
    images: Float[Tensor, "image channel height width"], contrast: float
) -> Float[Tensor, "image channel height width"]:
    """Return images with mean 0 and a root mean square of ``contrast``, as nearly as pixels between black and white allow.

    Examples
    --------
    >>> at_contrast(torch.tensor([[[[1.0, 3.0]]]]), 0.5).flatten().tolist()
    [-0.5, 0.5]
    """
    for _ in range(N_PROJECTIONS):  # clipping changes mean and contrast a little
        images = images - images.mean((1, 2, 3), keepdim=True)
        deviation = images.square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)
        images = (images * (contrast / deviation)).clamp(DARKEST, BRIGHTEST)
    return images


def blur(images: Float[Tensor, "image channel height width"], deviation: float) -> Float[Tensor, "image channel height width"]:
    """Blur images by a Gaussian; nothing comes from beyond the border."""
    if deviation <= 0:
        return images
    reach = max(1, round(3 * deviation))
    place = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    weights = torch.exp(-0.5 * (place / deviation) ** 2)
    weights = weights / weights.sum()
    planes = images.flatten(0, 1)[:, None]
    planes = F.conv2d(
        F.conv2d(planes, weights[None, None, :, None], padding=(reach, 0)), weights[None, None, None], padding=(0, reach)
    )
    return planes.view_as(images)


def _make_images(model: Drive, begin: Tensor, contrast: float, settings: MostExcitingImagesSettings) -> dict[str, np.ndarray]:
    return {"images": excite(model, begin, contrast, settings).cpu().numpy()}


@torch.no_grad()
def _read_maps(tower: ImageTower, images: np.ndarray, decoded: Decoded) -> Float[Tensor, "image channel height width"]:
    """Return the channels of structure of the maps of images, in half precision."""
    device, n = decoded.towers.device, len(channel_names(tower))
    chunks = (images[first : first + IMAGES_AT_ONCE] for first in range(0, len(images), IMAGES_AT_ONCE))
    return torch.cat([tower(torch.from_numpy(chunk).to(device))[:, :n].half() for chunk in chunks])


@torch.no_grad()
def _choose(maps: Tensor, responses: Tensor, train: Pairs, settings: MostExcitingImagesSettings) -> Int[np.ndarray, "neuron"]:
    """Return the neurons that the first model predicts best, among those with the largest signal-to-noise ratio."""
    strength = measure_strength(train)
    worth = strength.mean_response if strength.reason else np.nan_to_num(strength.signal_to_noise)
    candidates = np.argsort(-worth, kind="stable")[: settings.n_candidates]
    explained = _regress(maps, responses[:, candidates]).weights.explained.cpu().numpy()
    return np.sort(candidates[np.argsort(-explained, kind="stable")[: settings.n_neurons]])


def _regress(maps: Tensor, responses: Tensor) -> EncodingModel[LocalWeights]:
    return EncodingModel.fit(maps, responses, Windows.find(maps, responses, WIDTHS, FIELD_ORDER))


@torch.no_grad()
def _fit(tower: ImageTower, maps: Tensor, responses: Tensor) -> Drive:
    weights = _regress(maps, responses).weights
    n = maps.shape[1]
    return lambda images: weights.predict(tower(images)[:, :n].float())


@torch.no_grad()
def _rate(model: Drive, images: Tensor, decoded: Decoded) -> Float[np.ndarray, "image neuron"]:
    """Return the responses that a model predicts."""
    chunks = torch.split(images, IMAGES_AT_ONCE)
    return np.asarray(torch.cat([model(chunk.to(decoded.towers.device)) for chunk in chunks]).double().cpu().numpy())
