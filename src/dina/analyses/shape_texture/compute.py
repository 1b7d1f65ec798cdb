"""Whether shape or texture carries the decoding: retrieval from galleries, and with queries, of altered images."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float, Float32, Int
from pydantic import BaseModel, ConfigDict, Field

from dina.analyses.decoded import Decoded
from dina.analyses.image_axes import place_coordinates, stimulus_coordinates
from dina.analyses.image_contrast import match_contrast
from dina.analyses.paired_galleries import PairedResampling, TestQueries, choose_test_images, first_places
from dina.analyses.resampled_finding import curve_variables, resampled_finding
from dina.analyses.shape_texture.altered_images import ALTERATIONS, mean_amplitude, swap_amplitude
from dina.analyses.shares import EXCHANGED, NOTHING_READ, NULL, kept, share_of_above_chance
from dina.checks import DataError
from dina.progress import track
from dina.randomness import generator_for
from dina.shapes import ContrastImages
from dina.statistics.finding import Finding

FEWEST_IMAGES = 10
N_EXAMPLES = 3
TEXTURE_SOURCE = (
    "textures match histograms of pixels and of a steerable decomposition (Heeger & Bergen 1995), a simpler texture than"
    " that of Portilla & Simoncelli (2000)"
)


class ShapeTextureSettings(BaseModel):
    """On how many images.

    Parameters
    ----------
    n_images
        Most test images used, as queries and as gallery.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_images: int = Field(96, ge=FEWEST_IMAGES)


DEFAULTS = ShapeTextureSettings()


@dataclass(frozen=True, eq=False)
class ShapeTextureResult:
    """What altered galleries keep, image by image.

    Parameters
    ----------
    full
        Chance of each candidate to come first, originals, by direction: images for responses, responses for images.
    altered
        The same with altered images, by alteration in the order of `ALTERATIONS`.
    other
        The same with altered images of other images that were given each image's contrast; images for responses only.
    prefers_phase
        For each query 1 if it fits own phases with another's amplitudes better than the reverse, ½ if as well, else 0.
    example_id
        Their identities.
    examples
        Three test images, original first, then as altered, units of contrast, mean over colours.
    resampling
        Bootstrap and permutations of the images.
    """

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
        over, n = self.resampling.over_tables, self.n_images
        full = [over(tables[None])[:, 0] for tables in self.full]
        images, responses = (kept(over(tables), whole, n) for tables, whole in zip(self.altered, full, strict=True))
        return xr.Dataset(
            {
                **curve_variables("kept", "alteration", images, "share of top-1 accuracy above chance, image from response"),
                **curve_variables("kept_response_from_image", "alteration", responses, "the same, response from image"),
                **curve_variables(
                    "kept_other", "alteration", kept(over(self.other), full[0], n), "by other images of this contrast"
                ),
                "examples": (("shown", "example", "height", "width"), self.examples, {"units": "contrast"}),
            },
            coords={
                "alteration": list(ALTERATIONS),
                "keeps": ("alteration", [alteration.keeps for alteration in ALTERATIONS.values()]),
                "shown": ["original", *ALTERATIONS],
                **stimulus_coordinates({"example": self.example_id}),
                **place_coordinates(self.examples.shape[2:]),
            },
            attrs={"n_images": n, "null": NULL, "texture": TEXTURE_SOURCE, "top1_full": float(full[0][0])},
        )

    def findings(self) -> tuple[Finding, ...]:
        """Return kept shares, the outcome of cue conflict, and shape against texture; see `docs/image-side.md`."""
        over, n = self.resampling.over_tables, self.n_images
        full = [over(tables[None])[:, 0] for tables in self.full]
        images, responses = (kept(over(tables), whole, n) for tables, whole in zip(self.altered, full, strict=True))
        own = np.diagonal(self.altered[0], axis1=1, axis2=2)
        beyond = self._share_of_differences(own - np.diagonal(self.other, axis1=1, axis2=2), full[0])
        found = [resampled_finding("top1_full", full[0], "1", n, NULL)]
        for place, name in enumerate(ALTERATIONS):
            found += [
                resampled_finding(f"kept_{name}", images[:, place], "1", n, NULL, NOTHING_READ),
                resampled_finding(f"kept_{name}_beyond_contrast", beyond[:, place], "1", n, EXCHANGED, NOTHING_READ),
                resampled_finding(f"kept_{name}_response_from_image", responses[:, place], "1", n, NULL, NOTHING_READ),
            ]
        preferred = 0.5 + self.resampling.over_differences(self.prefers_phase[None] - 0.5)[:, 0]
        return (
            *found,
            resampled_finding("phase_over_amplitude", preferred, "1", n, EXCHANGED),
            resampled_finding("shape_minus_texture", self._shape_minus_texture(own, full[0]), "1", n, EXCHANGED, NOTHING_READ),
        )

    def _shape_minus_texture(self, own: np.ndarray, full: np.ndarray) -> Float[np.ndarray, "row"]:
        keeps_shape = np.array([alteration.keeps == "shape" for alteration in ALTERATIONS.values()])
        difference = own[keeps_shape].mean(axis=0) - own[~keeps_shape].mean(axis=0)
        return self._share_of_differences(difference[None], full)[:, 0]

    def _share_of_differences(self, differences: np.ndarray, full: np.ndarray) -> Float[np.ndarray, "row place"]:
        return share_of_above_chance(self.resampling.over_differences(differences), full, self.n_images)


def analyse_shape_texture(decoded: Decoded, settings: ShapeTextureSettings = DEFAULTS) -> ShapeTextureResult:
    """Alter the test images, each in six ways, and see how much of the retrieval is left.

    The towers stay as they are and the responses are those to the original images: nobody recorded responses to
    altered ones. Every altered image has mean and RMS contrast of its original; what contrast alone finds is measured by
    altered images of *other* images that were given the contrast of the right ones.

    Parameters
    ----------
    decoded
        Towers and test images.
    settings
        How many images.

    Raises
    ------
    DataError
        If there are fewer than ten test images.
    """
    chosen = choose_test_images(decoded, settings.n_images, "altered images")
    if len(chosen) < FEWEST_IMAGES:
        raise DataError(
            f"Retrieval from altered images needs at least {FEWEST_IMAGES} test images; there are {len(chosen)}. Keep more"
            " images for testing."
        )
    queries = TestQueries(decoded.towers, decoded.test, chosen)
    images, n = queries.images, len(chosen)
    other = _assign_others(n, generator_for(decoded.seed, "other images"))
    amplitude = mean_amplitude(decoded.train.images)
    full, shown = queries.score(images), [images[:N_EXAMPLES]]
    altered, foreign = [], []
    for name, alteration in track(ALTERATIONS.items(), "Altered galleries", total=len(ALTERATIONS)):
        changed = alteration.alter(images, amplitude, generator_for(decoded.seed, f"alteration {name}"))
        own = match_contrast(changed, images)
        altered.append(queries.score(own))
        foreign.append(first_places(queries.score(match_contrast(changed[other], images))))
        shown.append(own[:N_EXAMPLES])
    return ShapeTextureResult(
        full=np.stack([first_places(full, "image_from_response"), first_places(full, "response_from_image")]),
        altered=np.stack(
            [
                np.stack([first_places(scores, "image_from_response") for scores in altered]),
                np.stack([first_places(scores, "response_from_image") for scores in altered]),
            ]
        ),
        other=np.stack(foreign),
        prefers_phase=_resolve_conflict(queries, images, images[other]),
        example_id=decoded.test.stimulus_id[chosen][:N_EXAMPLES],
        examples=np.stack(shown).mean(axis=2).astype(np.float32),
        resampling=PairedResampling.draw(n, decoded.n_resamples, decoded.seed),
    )


def _assign_others(n: int, generator: np.random.Generator) -> np.ndarray:
    """Give every image another one, each once."""
    order = generator.permutation(n)
    other = np.empty(n, dtype=np.int64)
    other[order] = np.roll(order, 1)
    return other


def _resolve_conflict(queries: TestQueries, images: ContrastImages, other: ContrastImages) -> Float[np.ndarray, "image"]:
    """Ask each response whether it fits own phases with another's amplitudes, or own amplitudes with another's phases."""

    def amplitude(of: ContrastImages) -> np.ndarray:
        return np.abs(np.fft.fft2(of - of.mean(axis=(2, 3), keepdims=True)))

    own_phase = queries.score(match_contrast(swap_amplitude(images, amplitude(other)), images))
    own_amplitude = queries.score(match_contrast(swap_amplitude(other, amplitude(images)), images))
    difference = np.diagonal(own_phase) - np.diagonal(own_amplitude)
    preferred: np.ndarray = 0.5 + 0.5 * np.sign(difference.astype(np.float64))
    return preferred
