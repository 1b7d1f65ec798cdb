"""Whether shape or texture suffices for towers that were fitted on altered images."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float

from dina.analyses.decoded import Decoded
from dina.analyses.image_contrast import match_contrast
from dina.analyses.paired_galleries import PairedResampling
from dina.analyses.refitted_towers import Change, refit_first_places, unchanged_first_places
from dina.analyses.resampled_finding import curve_variables, resampled_finding
from dina.analyses.shape_texture.altered_images import ALTERATIONS, Alteration, mean_amplitude
from dina.analyses.shape_texture.compute import TEXTURE_SOURCE
from dina.analyses.shares import EXCHANGED, NOTHING_READ, NULL, kept, share_of_above_chance
from dina.progress import track
from dina.randomness import generator_for
from dina.shapes import ContrastImages
from dina.statistics.finding import Finding


@dataclass(frozen=True, eq=False)
class ShapeTextureRefitResult:
    """Retrieval by towers fitted on altered images.

    Parameters
    ----------
    full
        Chance of each candidate to come first, towers and images as they were.
    altered
        The same for towers fitted and tested on altered images, by alteration in the order of `ALTERATIONS`.
    resampling
        Bootstrap and permutations of the test images.
    """

    full: Float[np.ndarray, "image candidate"]
    altered: Float[np.ndarray, "alteration image candidate"]
    resampling: PairedResampling

    def to_dataset(self) -> xr.Dataset:
        """Return the kept shares with intervals and nulls over ``alteration``."""
        return xr.Dataset(
            curve_variables("refit_kept", "alteration", self._kept(), "share of top-1 accuracy above chance"),
            coords={
                "alteration": list(ALTERATIONS),
                "keeps": ("alteration", [alteration.keeps for alteration in ALTERATIONS.values()]),
            },
            attrs={"n_images": len(self.full), "null": NULL, "texture": TEXTURE_SOURCE},
        )

    def findings(self) -> tuple[Finding, ...]:
        """Return kept shares, and shape less texture; see `docs/image-side.md`."""
        n, rows, whole = len(self.full), self._kept(), self.resampling.over_tables(self.full[None])[:, 0]
        own = np.diagonal(self.altered, axis1=1, axis2=2)
        keeps_shape = np.array([alteration.keeps == "shape" for alteration in ALTERATIONS.values()])
        difference = own[keeps_shape].mean(axis=0) - own[~keeps_shape].mean(axis=0)
        contrast = share_of_above_chance(self.resampling.over_differences(difference[None]), whole, n)[:, 0]
        return (
            resampled_finding("refit_top1_full", whole, "1", n, NULL),
            *(
                resampled_finding(f"refit_kept_{name}", rows[:, place], "1", n, NULL, NOTHING_READ)
                for place, name in enumerate(ALTERATIONS)
            ),
            resampled_finding("refit_shape_minus_texture", contrast, "1", n, EXCHANGED, NOTHING_READ),
        )

    def _kept(self) -> Float[np.ndarray, "row alteration"]:
        whole = self.resampling.over_tables(self.full[None])[:, 0]
        return kept(self.resampling.over_tables(self.altered), whole, len(self.full))


def analyse_shape_texture_refit(decoded: Decoded) -> ShapeTextureRefitResult:
    """Fit towers on altered images, once for each alteration, and test them on images altered alike.

    The responses are those to the originals: what is left is what they tell about what an altered image still shows. Each
    altered image has mean and RMS contrast of its original.

    Parameters
    ----------
    decoded
        What to fit again.

    Raises
    ------
    DataError
        If there are no towers, or none can be fitted on altered images.
    """
    amplitude = mean_amplitude(decoded.train.images)
    full = unchanged_first_places(decoded)
    altered = [
        refit_first_places(decoded, name, _change(alteration, amplitude, generator_for(decoded.seed, f"refit {name}")))
        for name, alteration in track(ALTERATIONS.items(), "Fitting on altered images", total=len(ALTERATIONS))
    ]
    return ShapeTextureRefitResult(full, np.stack(altered), PairedResampling.draw(len(full), decoded.n_resamples, decoded.seed))


def _change(alteration: Alteration, amplitude: np.ndarray, generator: np.random.Generator) -> Change:
    def change(images: ContrastImages) -> ContrastImages:
        return match_contrast(alteration.alter(images, amplitude, generator), images)

    return change
