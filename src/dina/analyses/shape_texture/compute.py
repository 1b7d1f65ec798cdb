"""Whether shape or texture carries the decoding: altered images as galleries or queries, for the fitted towers or new ones."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float, Float32, Int
from pydantic import Field

from dina.analyses.altered_gallery import (
    FEWEST_IMAGES,
    Alter,
    EncodedQueries,
    choose_test_images,
    first_places,
    first_places_unaltered,
    refit_altered,
    score_altered,
)
from dina.analyses.analysis import AnalysisSettings, PlainResult, TabledResult
from dina.analyses.decoded import Decoded
from dina.analyses.paired_resampling import EXCHANGED, NOTHING_READ, NULL, PairedResampling, curve_variables, kept, share_of
from dina.analyses.shape_texture.altered_images import ALTERATIONS, Alteration, match_contrast, mean_amplitude, swap_amplitude
from dina.progress import track
from dina.randomness import generator_for
from dina.retrieval.ranks import Direction
from dina.shapes import ContrastImages, place_coordinates, stimulus_coordinates
from dina.short_words import brief
from dina.statistics.finding import Finding

N_EXAMPLES = 3
DIRECTIONS: tuple[Direction, ...] = ("image_from_response", "response_from_image")
TEXTURE_SOURCE = (
    "textures match histograms of pixels and of a steerable decomposition (Heeger & Bergen 1995), a simpler texture than"
    " that of Portilla & Simoncelli (2000)"
)


class ShapeTextureSettings(AnalysisSettings):
    """On how many images: at most ``n_images`` test images are used, as queries and as gallery."""

    n_images: int = Field(96, ge=FEWEST_IMAGES)


DEFAULTS = ShapeTextureSettings()


@dataclass(frozen=True, eq=False)
class ShapeTextureResult(TabledResult):
    """What altered galleries keep, image by image; alterations are in the order of `ALTERATIONS`.

    ``full``, ``altered`` and ``other`` are tables of `first_places` with the originals, altered images, and altered images of
    other images that were given each image's contrast; the first two by direction (images for responses, responses for
    images), the last in the first direction. ``prefers_phase`` is 1 for each query that fits the phases of its image with
    another's amplitudes better than the reverse, ½ if as well, else 0. ``examples`` are three test images, original first,
    then altered, in units of contrast, mean over colours.
    """

    __repr__ = brief

    full: Float[np.ndarray, "2 image candidate"]
    altered: Float[np.ndarray, "2 alteration image candidate"]
    other: Float[np.ndarray, "alteration image candidate"]
    prefers_phase: Float[np.ndarray, "image"]
    example_id: Int[np.ndarray, "example"]
    examples: Float32[np.ndarray, "shown example height width"]
    resampling: PairedResampling

    @property
    def n_images(self) -> int:
        """Number of queries, and of candidates."""
        return len(self.prefers_phase)

    def to_dataset(self) -> xr.Dataset:
        """Return the kept shares with intervals and nulls over ``alteration``, and examples to look at."""
        full, images, responses = self._rows()
        other = kept(self.resampling.over_tables(self.other), full, self.n_images)
        return xr.Dataset(
            {
                **curve_variables("kept", "alteration", images, "share of top-1 accuracy above chance, image from response"),
                **curve_variables("kept_response_from_image", "alteration", responses, "the same, response from image"),
                **curve_variables("kept_other", "alteration", other, "by other images of this contrast"),
                "examples": (("shown", "example", "height", "width"), self.examples, {"units": "contrast"}),
            },
            coords={
                **_alteration_axis(),
                "shown": ["original", *ALTERATIONS],
                **stimulus_coordinates({"example": self.example_id}),
                **place_coordinates(self.examples.shape[2:]),
            },
            attrs={"n_images": self.n_images, "null": NULL, "texture": TEXTURE_SOURCE, "top1_full": float(full[0])},
        )

    def findings(self) -> tuple[Finding, ...]:
        """Return kept shares, the outcome of cue conflict, and shape against texture; see `docs/image-side.md`."""
        n, (full, images, responses) = self.n_images, self._rows()
        correct = np.diagonal(self.altered[0], axis1=1, axis2=2)
        by_contrast = np.diagonal(self.other, axis1=1, axis2=2)
        beyond = share_of(self.resampling.over_differences(correct - by_contrast), full - 1 / n)
        found = [Finding.from_rows("top1_full", full, "1", n, NULL)]
        for place, name in enumerate(ALTERATIONS):
            found += [
                Finding.from_rows(f"kept_{name}", images[:, place], "1", n, NULL, NOTHING_READ),
                Finding.from_rows(f"kept_{name}_beyond_contrast", beyond[:, place], "1", n, EXCHANGED, NOTHING_READ),
                Finding.from_rows(f"kept_{name}_response_from_image", responses[:, place], "1", n, NULL, NOTHING_READ),
            ]
        preferred = 0.5 + self.resampling.over_differences(self.prefers_phase[None] - 0.5, (-0.5, 0.5))[:, 0]
        contrast = _shape_minus_texture(self.altered[0], full, self.resampling)
        return (
            *found,
            Finding.from_rows("phase_over_amplitude", preferred, "1", n, EXCHANGED),
            Finding.from_rows("shape_minus_texture", contrast, "1", n, EXCHANGED, NOTHING_READ),
        )

    def _rows(self) -> tuple[Float[np.ndarray, "row"], Float[np.ndarray, "row alteration"], Float[np.ndarray, "row alteration"]]:
        """Return the accuracy on unaltered images as gallery, and the shares that altered ones keep in both directions."""
        over, n = self.resampling.over_tables, self.n_images
        full = [self.resampling.of_whole.over_tables(tables[None])[:, 0] for tables in self.full]
        images, responses = (kept(over(tables), whole, n) for tables, whole in zip(self.altered, full, strict=True))
        return full[0], images, responses


def analyse_shape_texture(decoded: Decoded, settings: ShapeTextureSettings = DEFAULTS) -> ShapeTextureResult:
    """Alter the test images, each in six ways, and measure how much of the retrieval is left.

    The towers are not fitted again and the responses are those to the original images: nobody recorded responses to
    altered ones. Every altered image has mean and RMS contrast of its original. Altered images of *other* images with the
    contrast of the right ones measure how many are found by contrast alone.

    Raises
    ------
    DataError
        If there are fewer than ten test images.
    """
    chosen = choose_test_images(decoded, settings.n_images, "altered images")
    queries = EncodedQueries(decoded.towers, decoded.test, chosen)
    images, n = queries.images, len(chosen)
    other = _assign_others(n, generator_for(decoded.seed, "other images"))
    amplitude = mean_amplitude(decoded.train.images)
    changed = {
        name: alteration.alter(images, amplitude, generator_for(decoded.seed, f"alteration {name}"))
        for name, alteration in track(ALTERATIONS.items(), "Altering images")
    }
    matched = {name: match_contrast(of, images) for name, of in changed.items()}
    altered = score_altered(queries, {name: _replace_by(of) for name, of in matched.items()}, "Altered galleries")
    others = {name: _replace_by(match_contrast(of[other], images)) for name, of in changed.items()}
    foreign = score_altered(queries, others, "Altered galleries of other images")
    full, shown = queries.score(images), [part[:N_EXAMPLES] for part in (images, *matched.values())]
    return ShapeTextureResult(
        full=np.stack([first_places(full, direction) for direction in DIRECTIONS]),
        altered=np.array([[first_places(scores, direction) for scores in altered.values()] for direction in DIRECTIONS]),
        other=np.stack([first_places(scores) for scores in foreign.values()]),
        prefers_phase=_resolve_conflict(queries, images, images[other]),
        example_id=decoded.test.stimulus_id[chosen][:N_EXAMPLES],
        examples=np.stack(shown).mean(axis=2).astype(np.float32),
        resampling=PairedResampling.draw(n, decoded.n_resamples, decoded.seed),
    )


def analyse_shape_texture_refit(decoded: Decoded) -> PlainResult:
    """Fit towers on altered images, once for each alteration, and test them on images altered in the same way.

    The responses are those to the originals, so that the accuracy left shows how much they carry about the content that an
    altered image still has. Each altered image has mean and RMS contrast of its original, and contrast alone finds some images.

    Raises
    ------
    DataError
        If there are no towers, or none can be fitted on altered images.
    """
    amplitude = mean_amplitude(decoded.train.images)
    full = first_places_unaltered(decoded)
    alterations = {
        name: _alter_all_parts(alteration, amplitude, generator_for(decoded.seed, f"refit {name}"))
        for name, alteration in ALTERATIONS.items()
    }
    altered = refit_altered(decoded, alterations, "Fitting on altered images")
    return describe_refit(full, altered, PairedResampling.draw(len(full), decoded.n_resamples, decoded.seed))


def describe_refit(
    full: Float[np.ndarray, "image candidate"],
    altered: Float[np.ndarray, "alteration image candidate"],
    resampling: PairedResampling,
) -> PlainResult:
    """Return the shares of the accuracy that towers keep when they were fitted and tested on altered images, and shape minus texture.

    Given are tables of `first_places`: ``full`` of the original fit, ``altered`` in the order of `ALTERATIONS`.
    """
    n, whole = len(full), resampling.of_whole.over_tables(full[None])[:, 0]
    shares = kept(resampling.over_tables(altered), whole, n)
    curves = curve_variables("refit_kept", "alteration", shares, "share of top-1 accuracy above chance")
    arrays = xr.Dataset(curves, _alteration_axis(), {"n_images": n, "null": NULL, "texture": TEXTURE_SOURCE})
    contrast = _shape_minus_texture(altered, whole, resampling)
    rows = {f"refit_kept_{name}": (share, NULL) for name, share in zip(ALTERATIONS, shares.T, strict=True)}
    rows["refit_shape_minus_texture"] = (contrast, EXCHANGED)
    found = [Finding.from_rows(name, draws, "1", n, null, NOTHING_READ) for name, (draws, null) in rows.items()]
    return PlainResult(arrays, (Finding.from_rows("refit_top1_full", whole, "1", n, NULL), *found))


def _alter_all_parts(alteration: Alteration, amplitude: np.ndarray, generator: np.random.Generator) -> Alter:
    return lambda images: match_contrast(alteration.alter(images, amplitude, generator), images)


def _replace_by(images: ContrastImages) -> Alter:
    return lambda _: images


def _alteration_axis() -> dict[str, object]:
    """Return the coordinates of the alterations: their names, and whether they keep shape or texture."""
    keeps = [alteration.keeps for alteration in ALTERATIONS.values()]
    return {"alteration": list(ALTERATIONS), "keeps": ("alteration", keeps)}


def _shape_minus_texture(
    altered: Float[np.ndarray, "alteration image candidate"], full: Float[np.ndarray, "row"], resampling: PairedResampling
) -> Float[np.ndarray, "row"]:
    """Return how much more of the accuracy above chance the alterations keep that keep shape, on average."""
    correct = np.diagonal(altered, axis1=1, axis2=2)
    keeps_shape = np.array([alteration.keeps == "shape" for alteration in ALTERATIONS.values()])
    difference = correct[keeps_shape].mean(axis=0) - correct[~keeps_shape].mean(axis=0)
    return share_of(resampling.over_differences(difference[None]), full - 1 / correct.shape[1])[:, 0]


def _assign_others(n: int, generator: np.random.Generator) -> np.ndarray:
    """Give every image another one, each once."""
    order = generator.permutation(n)
    other = np.empty(n, dtype=np.int64)
    other[order] = np.roll(order, 1)
    return other


def _resolve_conflict(queries: EncodedQueries, images: ContrastImages, other: ContrastImages) -> Float[np.ndarray, "image"]:
    """Return whether each response fits phases of its image with another's amplitudes better than the reverse."""

    def amplitude(of: ContrastImages) -> np.ndarray:
        return np.abs(np.fft.fft2(of - of.mean(axis=(2, 3), keepdims=True)))

    by_phase = queries.score(match_contrast(swap_amplitude(images, amplitude(other)), images))
    by_amplitude = queries.score(match_contrast(swap_amplitude(other, amplitude(images)), images))
    difference = np.diagonal(by_phase) - np.diagonal(by_amplitude)
    preferred: np.ndarray = 0.5 + 0.5 * np.sign(difference.astype(np.float64))
    return preferred
