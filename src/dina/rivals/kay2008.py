"""Identification as Kay et al. published it: Gabor wavelet models of every neuron, candidates compared by correlation."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from dina.data.pairs import Gallery, Pairs, Queries
from dina.models.global_ridge import GlobalWeights, fit_global_ridge
from dina.models.towers.image.gabor_bank import SeparableGabors
from dina.retrieval.decoder import Candidate
from dina.rivals.validated_decoder import ValidatedDecoder, correlate_patterns
from dina.shapes import ContrastImages, Scores

N_ORIENTATIONS = 8
SHORTEST_WAVELENGTH = 4  # pixels; published: 32 cycles across 128 pixels
IMAGES_AT_ONCE = 64

# Shares of the neurons, those predicted best first, tried on the validation images.
NEURON_SHARES = (0.05, 0.1, 0.25, 0.5, 1.0)

FEWEST_NEURONS = 10

# How many of the pyramid's kinds of response are used; tried on the validation images.
FEATURES = {"energies": 1, "energies_and_phases": 3}


class Kay2008(ValidatedDecoder):
    """Predict each neuron from a Gabor wavelet pyramid; choose the image whose pattern correlates best with the response.

    Taken from the source: contrast energies of a wavelet pyramid, a linear model of each neuron, identification by the
    correlation of predicted and measured patterns over the neurons that the model predicts best.

    Left out: a separate pass that first finds each receptive field. Done otherwise: weights come from ridge regression with
    the penalty of lowest leave-one-out error; the source stopped gradient descent early. Neurons are ranked by the same
    leave-one-out predictions of training images, and validation chooses how many are used; the source used a fixed number of
    voxels. Added: validation may add the phases to the energies. A voxel pools neurons of all phases, but a neuron may have a
    single phase. Colour images have wavelets of opponent colour planes beside those of luminance.

    References
    ----------
    Kay et al. (2008), Nature 452:352. https://doi.org/10.1038/nature06713
    """

    def __init__(self) -> None:
        super().__init__("kay2008")

    def candidates(self, train: Pairs, validation: Pairs) -> Iterator[Candidate["SelectedNeurons"]]:
        """Yield models of every neuron from either kind of feature, with more and more of the neurons."""
        height, width = (int(extent) for extent in train.images.shape[2:])
        pyramid = GaborPyramid(height, width)
        wavelets = pyramid.learn(train.images)
        shown, measured = pyramid.encode(validation.images), validation.averaged()
        for name, n_kinds in FEATURES.items():
            weights = fit_global_ridge(wavelets[:, :n_kinds], torch.from_numpy(train.averaged()))
            order = torch.argsort(weights.explained, descending=True, stable=True).numpy()
            predicted = weights.predict(shown[:, :n_kinds]).numpy()
            for share in NEURON_SHARES:
                best = order[: max(FEWEST_NEURONS, round(share * len(order)))]
                scores = correlate_patterns(measured[:, best], predicted[:, best])
                model = SelectedNeurons(pyramid, n_kinds, weights, np.sort(best))
                yield Candidate(model, {"features": name, "neurons": len(best), **weights.notes}, scores)


@dataclass(frozen=True, eq=False)
class SelectedNeurons:
    """Models of all neurons on ``n_kinds`` kinds of response of a pyramid; those with these indices count."""

    pyramid: "GaborPyramid"
    n_kinds: int
    weights: GlobalWeights
    neurons: Int[np.ndarray, "chosen"]

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Return the correlation of each response with the pattern predicted for each candidate, in [-1, 1]."""
        predicted = self.weights.predict(self.pyramid.encode(gallery.images)[:, : self.n_kinds]).numpy()
        return correlate_patterns(queries.responses[:, self.neurons], predicted[:, self.neurons])


class GaborPyramid:
    """Wavelets at 1, 2, 4 … cycles across the shorter side of the image, as many along it as there are cycles.

    At each spatial frequency and each of eight orientations a quadrature pair of wavelets stands at every place of a grid
    one wavelength apart. Three numbers come from each pair: the contrast energy (the root of the sum of the two squares)
    and the even and the odd response themselves. Each is z-scored over the training images (`learn`). Colour images have the
    wavelets of luminance and after them those of a red–green and of a blue–yellow plane; the source showed grey images.
    ``wavelengths`` are in pixels, by falling length.

    References
    ----------
    Kay et al. (2008), Nature 452:352. https://doi.org/10.1038/nature06713
    """

    def __init__(self, height: int, width: int) -> None:
        side = min(height, width)
        longest = [round(side / 2**octave) for octave in range(side.bit_length())]
        self.wavelengths = tuple(length for length in longest if length >= SHORTEST_WAVELENGTH) or (side,)
        self._scales = [SeparableGabors((height, width), length, N_ORIENTATIONS, length) for length in self.wavelengths]
        self._mean = torch.zeros(())
        self._deviation = torch.ones(())

    @torch.no_grad()
    def learn(self, images: ContrastImages) -> Float[Tensor, "stimulus kind wavelet 1"]:
        """Learn means and deviations from training images; return their z-scores (energy, even, odd) in half precision."""
        raw = self._wavelets(images)
        self._mean = raw.float().mean(0)
        deviation = torch.stack([raw[:, kind].float().std(0, correction=0) for kind in range(raw.shape[1])])
        # a wavelet that hardly varies (at a border, under a mask) is divided by a typical deviation, not by nothing
        self._deviation = deviation.maximum(0.05 * deviation.mean(dim=(1, 2), keepdim=True) + 1e-6)
        return self._standardise(raw)

    @torch.no_grad()
    def encode(self, images: ContrastImages) -> Float[Tensor, "stimulus kind wavelet 1"]:
        """Return the z-scores of images (energy, even, odd) in half precision."""
        return self._standardise(self._wavelets(images))

    def _standardise(self, raw: Tensor) -> Tensor:
        for first in range(0, len(raw), IMAGES_AT_ONCE):
            part = slice(first, first + IMAGES_AT_ONCE)
            raw[part] = ((raw[part].float() - self._mean) / self._deviation).half()
        return raw

    def _wavelets(self, images: ContrastImages) -> Float[Tensor, "stimulus kind wavelet 1"]:
        """Return the responses plane by plane, and within a plane of all scales, the coarsest first."""
        chunks = []
        for first in range(0, len(images), IMAGES_AT_ONCE):
            pairs = [s(plane) for plane in _planes(images[first : first + IMAGES_AT_ONCE]) for s in self._scales]
            even, odd = (torch.cat([p.flatten(1) for p in parts], 1) for parts in zip(*pairs))
            chunks.append(torch.stack([(even.square() + odd.square()).sqrt(), even, odd], dim=1)[..., None].half())
        return torch.cat(chunks)


def _planes(images: ContrastImages) -> list[Float[Tensor, "image height width"]]:
    """Return luminance, and of colour images the opponent planes of `dina.models.towers.image.gabor_energy.GaborEnergy`."""
    planes = [images.mean(axis=1)]
    if images.shape[1] == 3:
        planes += [images[:, 0] - images[:, 1], images[:, 2] - 0.5 * (images[:, 0] + images[:, 1])]
    return [torch.from_numpy(np.ascontiguousarray(plane)) for plane in planes]
