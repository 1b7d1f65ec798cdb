"""Map capacity: whether the spatial frequencies that towers read depend on the size of their maps."""

import math
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from pydantic import Field

from dina.analyses.altered_gallery import choose_test_images
from dina.analyses.analysis import AnalysisSettings, TabledResult
from dina.analyses.decoded import Decoded
from dina.analyses.paired_resampling import NULL, PairedResampling, curve_variables
from dina.analyses.spatial_frequency.compute import SpatialFrequencySettings, frequency_units, measure_curves
from dina.analyses.spatial_frequency.frequency_curves import FrequencyCurves, density_per_octave, upper_edge, where_read
from dina.checks import DataError
from dina.models.towers.image.gabor_energy import PLACES_ALONG
from dina.progress import track
from dina.randomness import generator_for
from dina.short_words import brief
from dina.statistics.finding import Finding
from dina.statistics.resampling import central_range
from dina.training.presets import PresetSettings
from dina.training.presets.default import DefaultSettings
from dina.training.presets.paper import PaperSettings
from dina.training.presets.scratch import ScratchSettings

PAPER_PLACES = ((4, 16), (8, 32), (16, 64), (32, 128))
CHANNELS = (1, 4, 16)
SCRATCH_CHANNELS = (1, 2, 4, 8, 16)
STRIDE_FACTORS = (4.0, 2.0, 1.0, 0.5)
ORIENTATIONS = (2, 8)
PUBLISHED_SIZE = "16 × 64"
FEWEST_FITS, FEWEST_SIZES = 5, 3
NOT_BOTH = "One of the two stages finds no more than chance."
ALL_OPEN = "Every fit reads up to the Nyquist limit, so no edge could follow the size of the maps."
PERMUTED = "capacities permuted over the fits"
EXCHANGED = "the two stages exchanged at random, image by image"


class MapCapacitySettings(AnalysisSettings):
    """The budget of the sweep.

    Parameters
    ----------
    n_epochs
        Most epochs of each fit; the preset's own number if that is lower.
    frequency
        How spatial frequency is tested for each fit.
    """

    n_epochs: int = Field(20, ge=0)
    frequency: SpatialFrequencySettings = SpatialFrequencySettings()


@dataclass(frozen=True)
class Capacity:
    """One member of a sweep: the preset with its map changed.

    A first stage of the image tower differs in more than capacity, so it is not ``is_in_slope``.
    """

    name: str
    settings: PresetSettings
    is_in_slope: bool = True


@dataclass(frozen=True, eq=False)
class MapCapacityResult(TabledResult):
    """Frequency curves of towers with maps of different sizes, over the same test images and frequencies.

    ``map_shape`` is channels, height and width; ``is_in_slope`` marks fits that differ in nothing but capacity; ``units`` are those
    of the frequencies.
    """

    __repr__ = brief

    names: tuple[str, ...]
    map_shape: Int[np.ndarray, "fit 3"]
    is_in_slope: tuple[bool, ...]
    curves: tuple[FrequencyCurves, ...]
    n_epochs: int
    units: str
    seed: int
    resampling: PairedResampling

    def to_dataset(self) -> xr.Dataset:
        """Return size, accuracy and frequency edge of every fit with intervals, and whether the signal rose up to the end."""
        edge, top1 = self._edges(), self._accuracies()
        ends = np.array([central_range(edge[1 : 1 + self.resampling.n_resamples, place]) for place in range(edge.shape[1])])
        frequency = {"units": self.units}
        matched = np.stack([curves.matched_signal(self.resampling)[0] for curves in self.curves])
        return xr.Dataset(
            {
                **curve_variables("top1", "fit", top1, "top-1 accuracy, unfiltered images"),
                "edge": ("fit", edge[0], frequency),
                "edge_low": ("fit", ends[:, 0], frequency),
                "edge_high": ("fit", ends[:, 1], frequency),
                "edge_is_open": ("fit", (edge[0] == self.curves[0].nyquist).astype(np.uint8), {"units": "1"}),
                "matched_signal": (("fit", "cutoff"), matched, {"units": "1"}),
                "map_shape": (("fit", "axis"), self.map_shape, {"units": "1"}),
                "is_in_slope": ("fit", np.array(self.is_in_slope, dtype=np.uint8), {"units": "1"}),
            },
            coords={
                "fit": list(self.names),
                "cutoff": ("cutoff", self.curves[0].frequency, frequency),
                "axis": ["channel", "height", "width"],
            },
            attrs={
                "n_images": self.curves[0].n_images,
                "n_epochs": self.n_epochs,
                "nyquist": self.curves[0].nyquist,
                "null": NULL,
            },
        )

    def findings(self) -> tuple[Finding, ...]:
        """Return the slopes on capacity, on places where these differ, and the difference of stages; see `docs/image-side.md`."""
        n, edge, top1 = self.curves[0].n_images, np.log2(self._edges()), self._accuracies()
        numbers, places = self.map_shape.prod(axis=1), self.map_shape[:, 1:].prod(axis=1)
        swept = np.array(self.is_in_slope)
        sizes, ceiling = [("edge_per_capacity", edge, numbers)], float(np.log2(self.curves[0].nyquist))
        if len(np.unique(places[swept])) > 1:
            sizes.append(("edge_per_places", edge, places))
        found = []
        for name, values, size in (*sizes, ("top1_per_capacity", top1, numbers)):
            rows, reason = self._slopes(size[swept], values[:, swept], ceiling if values is edge else np.inf)
            found.append(Finding.from_rows(name, rows, "1", n, PERMUTED, reason))
        for place in np.flatnonzero(~swept):
            rows = self._difference(int(place), self.names.index(PUBLISHED_SIZE))
            found.append(Finding.from_rows("stage_edge_difference", rows, "1", n, EXCHANGED, NOT_BOTH))
        return tuple(found)

    def _slopes(self, size: np.ndarray, values: np.ndarray, ceiling: float) -> tuple[Float[np.ndarray, "row"], str]:
        """Return slopes of the data, the resamples and permuted capacities, and why there are none if so."""
        is_known, n_resamples = np.isfinite(values[0]), self.resampling.n_resamples
        usable = f"{is_known.sum()} of {len(size)} can be used (an edge only where more than chance is found)"
        size, values = size[is_known], values[:, is_known]
        none, n_sizes = np.full(1 + 2 * n_resamples, np.nan), len(np.unique(size))
        if len(size) < FEWEST_FITS:
            return none, f"A line needs {FEWEST_FITS} fits; {usable}."
        if n_sizes < FEWEST_SIZES:
            return none, f"A line needs maps of {FEWEST_SIZES} sizes; the fits that can be used have {n_sizes}."
        if (values[0] == ceiling).all():
            return none, ALL_OPEN
        start = np.tile(np.arange(len(size)), (n_resamples, 1))
        order = generator_for(self.seed, "capacities").permuted(start, axis=1)
        return slope_per_octave(size, np.concatenate([values[: 1 + n_resamples], values[0][order]])), ""

    def _accuracies(self) -> Float[np.ndarray, "row fit"]:
        return self.resampling.over_tables(np.stack([curves.low_pass[-1] for curves in self.curves]))

    def _edges(self) -> Float[np.ndarray, "row fit"]:
        top1 = self._accuracies()
        found = []
        for place, curves in enumerate(self.curves):
            edge = _edge_in_files(curves, curves.matched_signal(self.resampling))
            is_read = np.isfinite(where_read(edge, top1[:, place], self.resampling)[0])
            # all resamples or none: choosing those in which a fit does well would make its interval too narrow
            found.append(edge if is_read else np.full_like(edge, np.nan))
        return np.stack(found, axis=1)

    def _difference(self, first: int, second: int) -> Float[np.ndarray, "row"]:
        """Return the octaves between two edges: as it is, resampled, and with the two fits exchanged image by image."""
        both = []
        for curves in (self.curves[first], self.curves[second]):
            margin = np.diagonal(curves.margin, axis1=1, axis2=2)
            # scores of two fits differ in scale
            both.append(margin / max(abs(float(margin[-1].mean() - margin[0].mean())), 1e-12))
        middle, half = (both[0] + both[1]) / 2, (both[0] - both[1]) / 2
        apart, common = (self.resampling.over_differences(margins, None) for margins in (half, middle))
        common[1 + self.resampling.n_resamples :] = middle.mean(axis=1)  # what both share is not exchanged
        edges = []
        for sign in (1, -1):
            share = common + sign * apart
            whole = share[:, -1:] - share[:, :1]
            share = (share[:, 1:] - share[:, :1]) / np.where(np.abs(whole) > 1e-12, whole, np.nan)
            edges.append(_edge_in_files(self.curves[first], share))
        are_read = np.isfinite(self._edges()[0, [first, second]]).all()
        return np.where(are_read, np.log2(edges[0]) - np.log2(edges[1]), np.nan)


def analyse_map_capacity(decoded: Decoded, settings: MapCapacitySettings = MapCapacitySettings()) -> MapCapacityResult:
    """Fit towers with maps of other sizes and measure which spatial frequencies each reads.

    Split, seed and all other settings are those of the decoding. Every fit gets at most the same number of epochs, so larger
    maps may be further from their best; compare their accuracies.
    """
    chosen = choose_test_images(decoded, settings.frequency.n_images, "frequency images")
    height, width = decoded.test.images.shape[2:]
    swept = list_capacities(decoded.settings, (height, width), settings.n_epochs)
    fitted = []
    for capacity in track(swept, "Fitting maps of other sizes"):
        arrays = decoded.parts.get(capacity.name, partial(_measure, decoded, capacity, chosen, settings))
        fitted.append((arrays["map_shape"], _curves_of(arrays)))
    return MapCapacityResult(
        names=tuple(capacity.name for capacity in swept),
        map_shape=np.array([shape for shape, _ in fitted], dtype=np.int64),
        is_in_slope=tuple(capacity.is_in_slope for capacity in swept),
        curves=tuple(curves for _, curves in fitted),
        n_epochs=swept[0].settings.fit.n_epochs,
        units=frequency_units(decoded.recording),
        seed=decoded.seed,
        resampling=PairedResampling.draw(len(chosen), decoded.n_resamples, decoded.seed),
    )


def _measure(
    decoded: Decoded, capacity: Capacity, chosen: Int[np.ndarray, "image"], settings: MapCapacitySettings
) -> dict[str, np.ndarray]:
    """Fit one member of a sweep; return the shape of its maps and its frequency curves as arrays, which can be kept."""
    again = replace(decoded, settings=capacity.settings).refit()
    curves = measure_curves(again, chosen, settings.frequency)
    arrays = {part.name: np.asarray(getattr(curves, part.name)) for part in fields(curves)}
    return {"map_shape": np.array(again.towers.image_tower.map_shape), **arrays}


def _curves_of(arrays: dict[str, np.ndarray]) -> FrequencyCurves:
    stored: dict[str, Any] = {part.name: arrays[part.name] for part in fields(FrequencyCurves)}
    return FrequencyCurves(**(stored | {"nyquist": float(arrays["nyquist"])}))


def _edge_in_files(curves: FrequencyCurves, share: Float[np.ndarray, "row cutoff"]) -> Float[np.ndarray, "row"]:
    """Return `upper_edge`, but the Nyquist limit where it lies above or the signal rises up to the end of the axis.

    Files hold nothing beyond it; leaving such fits out would leave out those that read most.
    """
    edge = upper_edge(curves.frequency, share)
    is_open = np.isnan(edge) & (density_per_octave(curves.frequency, share).max(axis=-1) > 0)
    return np.minimum(np.where(is_open, curves.nyquist, edge), curves.nyquist)


def slope_per_octave(size: Int[np.ndarray, "fit"], values: Float[np.ndarray, "row fit"]) -> Float[np.ndarray, "row"]:
    """Return the least-squares slope of values on the binary logarithm of sizes; NaN if sizes are all alike or a value is.

    Examples
    --------
    >>> slope_per_octave(np.array([1, 2, 4]), np.array([[0.0, 0.5, 1.0]])).tolist()
    [0.5]
    """
    octave = np.log2(size) - np.log2(size).mean()
    spread = float((octave**2).sum())
    if spread < 1e-12:
        return np.full(len(values), np.nan)
    slopes: np.ndarray = values @ octave / spread
    return slopes


def list_capacities(settings: PresetSettings, image_size: tuple[int, int], n_epochs: int) -> list[Capacity]:
    """List the settings of a sweep: more and fewer places, more and fewer channels.

    ``paper``: 4 × 16 to 32 × 128 places with one channel, 4 and 16 channels at 16 × 64, and the first stage of the image
    tower. ``default``: four distances between places, with windows of fields that keep their size on the screen, and two
    more numbers of orientations. ``scratch``: 1 to 16 channels; its number of places is set by the image.

    Raises
    ------
    DataError
        If the preset is none of these three.
    """
    budget = {"fit": settings.fit.model_copy(update={"n_epochs": min(n_epochs, settings.fit.n_epochs)})}
    if isinstance(settings, PaperSettings):
        return _paper(settings.model_copy(update={**budget, "image_stage": 2}))
    if isinstance(settings, DefaultSettings):
        return _default(settings.model_copy(update=budget), min(image_size))
    if isinstance(settings, ScratchSettings):
        return [Capacity(f"{n} channels", settings.model_copy(update={**budget, "map_channels": n})) for n in SCRATCH_CHANNELS]
    raise DataError(
        f"Map capacity is swept for the presets default, scratch and paper; these settings are {type(settings).__name__}."
        " Fit one of these presets."
    )


def _paper(settings: PaperSettings) -> list[Capacity]:
    def of(height: int, width: int, channels: int, stage: int = 2) -> PresetSettings:
        size = {"map_height": height, "map_width": width, "map_channels": channels, "image_stage": stage}
        return settings.model_copy(update=size)

    swept = [Capacity(f"{h} × {w}", of(h, w, 1)) for h, w in PAPER_PLACES]
    swept += [Capacity(f"16 × 64, {n} channels", of(16, 64, n)) for n in CHANNELS[1:]]
    return [*swept, Capacity("16 × 64, first stage", of(16, 64, 1, stage=1), is_in_slope=False)]


def _default(settings: DefaultSettings, shorter_side: int) -> list[Capacity]:
    usual = max(1, round(shorter_side / PLACES_ALONG)) if settings.stride is None else settings.stride
    # at least three places along the shorter side; two factors may give the same stride
    largest = max(1, shorter_side // 3)
    strides = sorted({min(largest, max(1, math.floor(usual * factor + 0.5))) for factor in STRIDE_FACTORS}, reverse=True)
    swept = []
    for stride in strides:
        # widths are in units of places: a window of one size on the screen takes more of the finer places
        widths = tuple(width * usual / stride for width in settings.widths)
        swept.append(Capacity(f"every {stride} px", settings.model_copy(update={"stride": stride, "widths": widths})))
    others = [n for n in ORIENTATIONS if n != settings.n_orientations]
    return swept + [Capacity(f"{n} orientations", settings.model_copy(update={"n_orientations": n})) for n in others]
