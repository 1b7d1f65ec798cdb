"""What drives each simulated neuron: its place on the cortex, and the Gabor or network subunits that it mixes."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from torch.nn.functional import avg_pool2d, conv2d

from dina.randomness import generator_for
from dina.recordings.simulator.painted_images import SimulatedImages, low_pass, to_contrast
from dina.recordings.simulator.session_settings import SyntheticSettings

GABOR_CHUNK = 400  # images filtered together
SEMI_SATURATION = 0.7  # contrast at which normalisation sets in
SURROUND_WEIGHT = 0.7
CENTRE_POOL_DEG, SURROUND_POOL_DEG = 6.0, 18.0
NETWORK_CHUNK = 200  # images passed through the network together
FIRST_CHANNELS, SECOND_CHANNELS = 24, 48
KERNEL_DEG = 11.0  # width of the first layer's kernels
POOL = 4  # grid of the second layer, in degrees
CORTEX_UM = 1000.0  # side of the imaged square
PLANE_SPACING_UM, N_PLANES, FIRST_PLANE_UM = 35.0, 11, 70.0
RETINOTOPIC_SCATTER_DEG = 5.0
MOST_SUBUNITS = 5  # mixed by one neuron


@dataclass(frozen=True, eq=False)
class GaborSubunits:
    """A pool of subunits that cover the field limits at random."""

    row: Float[np.ndarray, "subunit"]  # centre in pixels
    column: Float[np.ndarray, "subunit"]
    size: Float[np.ndarray, "subunit"]  # standard deviation of the Gaussian envelope in pixels
    orientation: Float[np.ndarray, "subunit"]  # of the bars, radians in [0, π)
    frequency: Float[np.ndarray, "subunit"]  # cycles per pixel
    phase: Float[np.ndarray, "subunit"]  # radians; simple subunits only
    is_complex: Bool[np.ndarray, "subunit"]  # True: energy of two phases; False: rectified
    deg_per_pixel: float  # scale of the image

    @classmethod
    def draw(cls, settings: SyntheticSettings, generator: np.random.Generator) -> "GaborSubunits":
        """Draw the pool."""
        n, scale = settings.n_subunits, settings.deg_per_pixel
        top, bottom, left, right = _field_limits(settings)
        highest = 0.12 if settings.frequency_limit_cpd is None else min(0.12, 0.8 * settings.frequency_limit_cpd)
        frequency_cpd = settings.spatial_frequency_cpd * np.exp(0.4 * generator.standard_normal(n))
        frequency_cpd = frequency_cpd.clip(min(0.02, highest), highest)
        size_deg = (0.28 / frequency_cpd * np.exp(0.2 * generator.standard_normal(n))).clip(3.0, 9.0)
        return cls(
            row=generator.uniform(top, bottom, n),
            column=generator.uniform(left, right, n),
            size=size_deg / scale,
            orientation=generator.uniform(0, np.pi, n),
            frequency=frequency_cpd * scale,
            phase=generator.uniform(0, 2 * np.pi, n),
            is_complex=generator.random(n) < settings.complex_fraction,
            deg_per_pixel=scale,
        )

    def _filters(self, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the two phases of each Gabor, each of shape (height * width, n_subunits), zero mean and unit norm."""
        rows, columns = torch.arange(height, dtype=torch.float32), torch.arange(width, dtype=torch.float32)
        dy = rows[:, None] - _float(self.row)
        dx = columns[:, None] - _float(self.column)
        size, angle = _float(self.size), _float(self.orientation)
        envelope = torch.exp(-(dy**2) / (2 * size**2))[:, None] * torch.exp(-(dx**2) / (2 * size**2))[None]
        wave = (dy[:, None] * torch.cos(angle) - dx[None] * torch.sin(angle)) * (2 * np.pi * _float(self.frequency))
        wave += torch.where(torch.from_numpy(self.is_complex), 0.0, _float(self.phase))
        filters = []
        for gabor in (envelope * torch.cos(wave), envelope * torch.sin(wave)):
            gabor -= envelope * (gabor.sum((0, 1)) / envelope.sum((0, 1)))
            gabor /= torch.linalg.vector_norm(gabor, dim=(0, 1)).clamp_min(1e-12)
            filters.append(gabor.reshape(height * width, -1))
        return filters[0], filters[1]

    def respond(self, contrast: Float32[np.ndarray, "stimulus height width"]) -> Float32[np.ndarray, "stimulus subunit"]:
        """Filter, rectify or take the energy, and divide by local contrast in centre and surround.

        The divisor is the square root of semi-saturation² + local contrast² + weight · surrounding contrast² (Heeger 1992,
        https://doi.org/10.1017/S0952523800009640).
        """
        height, width = contrast.shape[1:]
        even, odd = self._filters(height, width)
        is_complex = torch.from_numpy(self.is_complex)
        odd = odd[:, is_complex].contiguous()
        rows = np.rint(self.row).astype(int).clip(0, height - 1)
        columns = np.rint(self.column).astype(int).clip(0, width - 1)
        result = np.empty((len(contrast), len(self.row)), dtype=np.float32)
        for start in range(0, len(contrast), GABOR_CHUNK):
            images = torch.from_numpy(contrast[start : start + GABOR_CHUNK])
            flat = images.reshape(len(images), -1)
            drive = flat @ even
            drive[:, is_complex] = torch.sqrt(drive[:, is_complex] ** 2 + (flat @ odd) ** 2)
            drive[:, ~is_complex] = drive[:, ~is_complex].clamp_min(0)
            local = (images - _blur(images, CENTRE_POOL_DEG / self.deg_per_pixel)) ** 2
            centre = _blur(local, CENTRE_POOL_DEG / self.deg_per_pixel)[:, rows, columns]
            surround = _blur(local, SURROUND_POOL_DEG / self.deg_per_pixel)[:, rows, columns]
            # the norm of a filter grows with its area: the same contrast drives all sizes alike
            drive /= _float(self.size) * 3.5
            result[start : start + GABOR_CHUNK] = drive / torch.sqrt(SEMI_SATURATION**2 + centre + SURROUND_WEIGHT * surround)
        return result


@dataclass(frozen=True, eq=False)
class NetworkSubunits:
    """Units of the second layer of a random network, at places drawn at random."""

    row: Float[np.ndarray, "subunit"]  # centre of each unit's field in pixels
    column: Float[np.ndarray, "subunit"]
    channel: Int[np.ndarray, "subunit"]  # its channel
    first: Float32[np.ndarray, "first 1 kernel kernel"]  # kernels of the two layers
    second: Float32[np.ndarray, "second first 3 3"]
    pool: int  # pooling between the layers, in pixels

    @classmethod
    def draw(cls, settings: SyntheticSettings, generator: np.random.Generator) -> "NetworkSubunits":
        """Draw the network and the places of its units."""
        n = settings.n_subunits
        top, bottom, left, right = _field_limits(settings)
        kernel = max(3, 2 * round(KERNEL_DEG / settings.deg_per_pixel / 2) + 1)
        pool = max(1, round(POOL / settings.deg_per_pixel))
        place = np.linspace(-1, 1, kernel)
        window = np.exp(-3 * (place[:, None] ** 2 + place**2))
        # noise smoothed over a few degrees: random outlines without a preferred orientation or frequency
        smooth = np.exp(-((place[:, None] - place) ** 2) / (2 * 0.22**2))
        first = (smooth @ generator.standard_normal((FIRST_CHANNELS, 1, kernel, kernel)) @ smooth) * window
        first -= window * (first.sum((2, 3), keepdims=True) / window.sum())
        first /= np.sqrt((first**2).sum((1, 2, 3), keepdims=True)) * kernel / 3
        second = generator.standard_normal((SECOND_CHANNELS, FIRST_CHANNELS, 3, 3)) / np.sqrt(9 * FIRST_CHANNELS)
        return cls(
            row=generator.uniform(top, bottom, n),
            column=generator.uniform(left, right, n),
            channel=generator.integers(0, SECOND_CHANNELS, n),
            first=first.astype(np.float32),
            second=second.astype(np.float32),
            pool=pool,
        )

    def respond(self, contrast: Float32[np.ndarray, "stimulus height width"]) -> Float32[np.ndarray, "stimulus subunit"]:
        """Return the rectified, divisively normalised second layer at each unit's place."""
        first, second = torch.from_numpy(self.first), torch.from_numpy(self.second)
        kernel, channel = first.shape[-1], torch.from_numpy(self.channel)
        result = np.empty((len(contrast), len(self.row)), dtype=np.float32)
        for start in range(0, len(contrast), NETWORK_CHUNK):
            images = torch.from_numpy(contrast[start : start + NETWORK_CHUNK])[:, None]
            # a stride of half the pooling width samples the smooth kernels finely enough
            stride = max(1, self.pool // 2)
            layer = conv2d(images, first, stride=stride, padding=kernel // 2).relu()
            layer = avg_pool2d(layer, self.pool // stride)
            layer = layer / (0.3 + layer.mean(1, keepdim=True))
            layer = conv2d(layer, second, padding=1).relu()
            height, width = layer.shape[2:]
            rows = torch.from_numpy((self.row / self.pool).astype(int).clip(0, height - 1))
            columns = torch.from_numpy((self.column / self.pool).astype(int).clip(0, width - 1))
            result[start : start + NETWORK_CHUNK] = layer[:, channel, rows, columns]
        return result


@dataclass(frozen=True, eq=False)
class Sources:
    """What drives the neurons: a pool of subunits and the categories, standardised over the natural images."""

    settings: SyntheticSettings
    subunits: GaborSubunits | NetworkSubunits
    mean: Float32[np.ndarray, "subunit"]
    deviation: Float32[np.ndarray, "subunit"]
    categories: Float32[np.ndarray, "stimulus category"]

    @classmethod
    def make(cls, settings: SyntheticSettings, images: SimulatedImages, seed: int) -> tuple["Sources", np.ndarray]:
        """Draw the pool; return it and its values for the natural images."""
        generator = generator_for(seed, "subunits")
        family = GaborSubunits if settings.family == "gabor_mixture" else NetworkSubunits
        subunits = family.draw(settings, generator)
        raw = subunits.respond(_seen(settings, to_contrast(images.pixels)))
        mean, deviation = raw.mean(0), raw.std(0)
        deviation[deviation < 1e-6] = np.inf
        one_hot = np.eye(settings.n_categories, dtype=np.float32)[images.category]
        sources = cls(settings, subunits, mean, deviation, one_hot - one_hot.mean(0))
        return sources, sources._values(raw)

    def of(self, contrast: Float32[np.ndarray, "stimulus height width"]) -> Float32[np.ndarray, "stimulus source"]:
        """Return the values for other images with the same identities."""
        return self._values(self.subunits.respond(_seen(self.settings, contrast)))

    def _values(self, raw: np.ndarray) -> np.ndarray:
        return np.concatenate([(raw - self.mean) / self.deviation, self.categories], axis=1)


@dataclass(frozen=True, eq=False)
class Population:
    """Everything about the neurons that does not depend on the images shown."""

    position_um: Float32[np.ndarray, "neuron 3"]  # on the cortex: x, y, depth
    weights: Float32[np.ndarray, "source neuron"]  # of subunits (and, after them, of categories) in a neuron's drive
    # centre of the receptive field, weighted over its subunits, pixels; NaN for a neuron without one
    field_row: Float[np.ndarray, "neuron"]
    field_column: Float[np.ndarray, "neuron"]
    main_subunit: Int[np.ndarray, "neuron"]  # the subunit with the largest weight, or -1
    # ratio of signal to noise variance of the potential; 0 for an uninformative neuron
    signal_to_noise: Float[np.ndarray, "neuron"]
    resting: Float[np.ndarray, "neuron"]  # mean potential in units of the noise, above threshold where positive
    amplitude: Float[np.ndarray, "neuron"]  # response per unit of rectified potential; arbitrary units
    missed: Float[np.ndarray, "neuron"]  # probability that a response is recorded as zero
    is_informative: Bool[np.ndarray, "neuron"]  # planted classes of neurons
    is_semantic: Bool[np.ndarray, "neuron"]
    synergistic_pairs: Int[np.ndarray, "pair 2"]  # indices (carrier, noise monitor) of each planted pair


def draw_population(
    settings: SyntheticSettings, subunits: GaborSubunits | NetworkSubunits, generator: np.random.Generator
) -> Population:
    """Draw the neurons of a session.

    Cortical x runs along the screen's width and y along its height (retinotopy), with scatter. Each neuron mixes one to five
    subunits near its place on the screen: one dominant, the others with random signs.
    """
    n, n_subunits = settings.n_neurons, len(subunits.row)
    position = np.empty((n, 3), dtype=np.float32)
    position[:, :2] = generator.uniform(0, CORTEX_UM, (n, 2))
    position[:, 2] = FIRST_PLANE_UM + PLANE_SPACING_UM * generator.integers(0, N_PLANES, n)
    weights = np.zeros((n_subunits + settings.n_categories, n), dtype=np.float32)
    weights[:n_subunits] = _draw_mixtures(settings, position, subunits, generator)
    order = generator.permutation(n)
    is_informative = np.zeros(n, dtype=bool)
    is_informative[order[: max(1, round(settings.informative_fraction * n))]] = True
    is_semantic = np.zeros(n, dtype=bool)
    is_semantic[generator.permutation(n)[: round(settings.semantic_fraction * n)]] = True
    weights[:, is_semantic] = 0
    weights[n_subunits:, is_semantic] = generator.standard_normal((settings.n_categories, int(is_semantic.sum())))
    spread = 0.0 if settings.equal_signal_to_noise else settings.signal_to_noise_spread
    signal_to_noise = settings.signal_to_noise * np.exp(spread * generator.standard_normal(n))
    eligible = generator.permutation(np.flatnonzero(is_informative & ~is_semantic))
    pairs = eligible[: 2 * min(settings.synergistic_pairs, len(eligible) // 2)].reshape(-1, 2).astype(np.int64)
    is_informative[pairs[:, 1]] = False
    signal_to_noise[~is_informative] = 0
    share = weights[:n_subunits].astype(np.float64) ** 2
    total = share.sum(0)
    has_field = is_informative & (total > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        row, column = (np.where(has_field, (place @ share) / total, np.nan) for place in (subunits.row, subunits.column))
    return Population(
        position_um=position,
        weights=weights,
        field_row=row,
        field_column=column,
        main_subunit=np.where(has_field, share.argmax(0), -1),
        signal_to_noise=signal_to_noise,
        resting=settings.threshold + 0.15 * generator.standard_normal(n),
        amplitude=np.exp(0.3 * generator.standard_normal(n)),
        missed=np.clip(settings.missed * np.exp(0.3 * generator.standard_normal(n)), 0, 0.9),
        is_informative=is_informative,
        is_semantic=is_semantic,
        synergistic_pairs=pairs,
    )


def _draw_mixtures(
    settings: SyntheticSettings, position: np.ndarray, subunits: GaborSubunits | NetworkSubunits, generator: np.random.Generator
) -> np.ndarray:
    """Return weights (subunit, neuron): the subunits nearest to places scattered about each field centre."""
    n = len(position)
    top, bottom, left, right = _field_limits(settings)
    scatter = RETINOTOPIC_SCATTER_DEG / settings.deg_per_pixel
    row = (top + (bottom - top) * position[:, 1] / CORTEX_UM + scatter * generator.standard_normal(n)).clip(top, bottom)
    column = (left + (right - left) * position[:, 0] / CORTEX_UM + scatter * generator.standard_normal(n)).clip(left, right)
    distance = (subunits.row[:, None] - row) ** 2 + (subunits.column[:, None] - column) ** 2
    # nearness plus Gumbel noise: the largest are a draw without replacement with Gaussian probabilities
    near = -distance / (2 * (settings.field_scatter_deg / settings.deg_per_pixel) ** 2) + generator.gumbel(size=distance.shape)
    most = min(MOST_SUBUNITS, len(subunits.row))
    chosen = np.argsort(-near, axis=0, kind="stable")[:most]
    strength = 0.6 * generator.standard_normal((most, n))
    strength[0] = 1.0
    strength[np.arange(most)[:, None] >= generator.integers(1, most + 1, n)] = 0
    weights = np.zeros(distance.shape, dtype=np.float32)
    np.put_along_axis(weights, chosen, strength.astype(np.float32), axis=0)
    return weights


def _seen(settings: SyntheticSettings, contrast: np.ndarray) -> np.ndarray:
    """Return what the neurons see of the images: below their frequency limit, inside their region."""
    if settings.frequency_limit_cpd is not None:
        contrast = low_pass(contrast, settings.frequency_limit_cpd * settings.deg_per_pixel)
    if settings.field_region is not None:
        top, bottom, left, right = settings.field_region
        inside = np.zeros_like(contrast)
        inside[:, top:bottom, left:right] = contrast[:, top:bottom, left:right]
        contrast = inside
    return contrast


def _field_limits(settings: SyntheticSettings) -> tuple[float, float, float, float]:
    """Return (top, bottom, left, right) in pixels: where the field centres lie.

    By default the middle 70 % of the height, and the part of the width from 16 to 57 %, as in a recording from the
    left hemisphere with three screens around the mouse.
    """
    if settings.field_region is not None:
        top, bottom, left, right = settings.field_region
        return float(top), float(bottom), float(left), float(right)
    return 0.15 * settings.height, 0.85 * settings.height, 0.16 * settings.width, 0.57 * settings.width


def _blur(images: torch.Tensor, deviation: float) -> torch.Tensor:
    """Blur (stimulus, height, width) by a Gaussian of this standard deviation in pixels; weights sum to 1 at the borders."""

    def weights(length: int) -> torch.Tensor:
        place = torch.arange(length, dtype=torch.float32)
        kernel = torch.exp(-((place[:, None] - place) ** 2) / (2 * deviation**2))
        return kernel / kernel.sum(1, keepdim=True)

    return weights(images.shape[1]) @ (images @ weights(images.shape[2]).T)


def _float(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32))
