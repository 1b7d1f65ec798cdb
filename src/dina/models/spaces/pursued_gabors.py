"""The few Gabors that make up each neuron's receptive field, found one by one on a fine grid."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dina.large_arrays import blocks_of
from dina.models.gabor_pursuit import (
    CHUNK,
    MOST_COMPONENTS,
    MOST_IMAGES,
    PITCH,
    SMALLEST_IMAGE,
    TERMS,
    Components,
    GaborGrid,
    GaborWindow,
    list_wavelengths,
    pursue,
)
from dina.models.spaces.space import FeatureSpace, SpaceFit, SparseWeights
from dina.models.sparse_matrix import sparse_matrix
from dina.models.towers.image.gabor_energy import list_octaves
from dina.models.towers.tower import MapShape
from dina.neuron_blocks import divide_neurons, join_neurons, large_like, on_workers
from dina.progress import track

NEURONS_AT_ONCE = 4096  # whose responses are copied
N_FOLDS = 4
MANY_IMAGES = 1000  # from which two folds are enough: half of the images give nearly the same fields
MOST_NEURONS = 4000  # those whose averaged responses vary most; pursuing 30,000 would take an hour


class PursuedGabors(FeatureSpace):
    """One to four Gabors for each neuron, placed on a grid twice as fine as the map: see `dina.models.gabor_pursuit.pursue`.

    The features are the even phase, the odd phase and the energy of every Gabor that some neuron uses. Ridge on the local
    channels of the map and this sparse sum err in different ways, so that both together predict better than either.
    """

    label = "sums of a few Gabors"
    is_whole = False

    gabor: Tensor
    mean: Tensor
    deviation: Tensor
    typical: Tensor

    def __init__(self, image_shape: MapShape, map_shape: MapShape) -> None:
        super().__init__(image_shape, map_shape)
        self.register_buffer("gabor", torch.zeros(4, 0, dtype=torch.long))  # wavelength, orientation, row, column
        self.register_buffer("mean", torch.zeros(0))
        self.register_buffer("deviation", torch.zeros(0))
        self.register_buffer("typical", torch.tensor(1.0))
        self.pathways: tuple[str, ...] = ("local", "global")  # whose Gabors are pursued
        waves, longest = torch.tensor(list_wavelengths(*image_shape[1:])), list_octaves(min(image_shape[1:]))[-1]
        self._is_local = waves < longest / 2**0.5  # the longest octave of the map is not the nearest

    @property
    def n_features(self) -> int:
        """Three features for each Gabor; 0 before `fit`."""
        return len(self.mean)

    @property
    def n_local(self) -> int:
        """Features of Gabors shorter than those of the global pathway of the map; Gabors are in order of wavelength."""
        return TERMS * int(self._is_local[self.gabor[0].cpu()].sum())

    @classmethod
    def explain_absence(cls, image_shape: MapShape) -> str:
        """Return why images of this shape cannot have these features; "" if they can."""
        return "" if min(image_shape[1:]) >= SMALLEST_IMAGE else f"Gabors need images of at least {SMALLEST_IMAGE} pixels."

    def fit(self, images: Tensor, maps: Tensor, responses: Float[Tensor, "stimulus neuron"]) -> SpaceFit:
        """Pursue every neuron over all training images, and over each part of them for the predictions of left-out images."""
        device = responses.device
        n_images, n_neurons = responses.shape
        used = torch.linspace(0, n_images - 1, min(n_images, MOST_IMAGES)).round().long()
        mean = responses.mean(0)
        blocks = blocks_of(n_neurons, NEURONS_AT_ONCE)  # no copy of the responses of many neurons
        power = torch.cat([(responses[:, some] - mean[some]).square().mean(0) for some in blocks])
        neurons = power.topk(min(n_neurons, MOST_NEURONS)).indices.sort().values
        wanted, neurons = (responses[:, neurons] - mean[neurons]).cpu(), neurons.cpu()
        is_whole = len(used) == n_images
        grid = GaborGrid.of((images if is_whole else images[used]).cpu().numpy())
        for name, is_absent in (("local", self._is_local), ("global", ~self._is_local)):
            if name not in self.pathways:
                grid.maps[:, is_absent] = 0  # a Gabor that never responds is never chosen
        found = _Pursuit.of(grid, wanted[used])
        self.gabor, neuron, feature, value = found.list_gabors()
        if is_whole:
            terms = _terms(grid, self.gabor)
        else:
            chunks = (GaborGrid.of(some.cpu().numpy(), grid.typical) for some in torch.split(images, CHUNK))
            terms = torch.cat([_terms(some, self.gabor) for some in chunks])
        self.mean = terms[used].mean(0)
        self.deviation = terms[used].std(0, correction=0).clamp_min(1e-6)
        features = terms.sub_(self.mean).div_(self.deviation)
        shape = (wanted.shape[1], len(self.mean))
        together = sparse_matrix(neuron, feature, value * self.deviation[feature], shape).coalesce()
        predicted = large_like(responses.cpu())
        if not is_whole:  # images that took no part are left out already
            predicted[:, neurons] = (together @ features.T).T
        predicted[used[:, None], neurons] = found.left_out
        of_neuron, of_feature = together.indices()
        weights = SparseWeights(neurons[of_neuron].to(device), of_feature.to(device), together.values().to(device))
        self.typical.fill_(grid.typical)
        self.to(device)
        return SpaceFit(weights, predicted.to(device), features.to(device))

    def forward(self, images: Tensor, maps: Tensor) -> Float[Tensor, "batch feature"]:
        """Return the terms of the Gabors, each with mean 0 and deviation 1 over the training images."""
        grid = GaborGrid.of(images.detach().cpu().numpy(), float(self.typical))
        terms = _terms(grid, self.gabor.cpu()).to(self.mean.device)
        return (terms - self.mean) / self.deviation


class _Pursuit:
    """The Gabors of every neuron and their coefficients, and what is predicted for images that a fit has left out.

    ``number`` counts the Gabors of the whole grid: wavelengths, orientations, rows, columns. Coefficients belong to even phase, odd
    phase and energy, in units of the responses.
    """

    def __init__(self, grid: GaborGrid, n_neurons: int) -> None:
        self.shape = tuple(grid.maps.shape[axis] for axis in (1, 3, 4, 5))
        self.sizes = torch.tensor([math.prod(self.shape[axis + 1 :]) for axis in range(4)])
        self.number = torch.zeros(MOST_COMPONENTS, n_neurons, dtype=torch.long)
        self.coefficient = torch.zeros(TERMS, *self.number.shape)
        self.left_out = torch.zeros(len(grid.maps), n_neurons)

    @classmethod
    def of(cls, grid: GaborGrid, responses: Float[Tensor, "image neuron"]) -> "_Pursuit":
        """Pursue neurons that look at one place together, and those again that turn out to look elsewhere."""
        unit = responses - responses.mean(0)
        unit = unit / unit.norm(dim=0).clamp_min(1e-12)
        place = grid.find_windows(unit)
        neurons = divide_neurons(place)
        parts = on_workers(cls._of_block, (grid,), [(responses[:, some], place[some]) for some in neurons])
        for name in ("number", "coefficient", "left_out"):
            setattr(parts[0], name, join_neurons([getattr(part, name) for part in parts], neurons, axis=-1))
        return parts[0]

    @classmethod
    def _of_block(cls, grid: GaborGrid, responses: Float[Tensor, "image neuron"], place: Int[Tensor, "neuron 2"]) -> "_Pursuit":
        """Do the same for some of the neurons, of which none depends on another."""
        result = cls(grid, responses.shape[1])
        pending = torch.arange(len(place))
        for is_last in (False, True):
            middles, of_middle = torch.unique(place[pending], dim=0, return_inverse=True)
            moved = []
            for each, (row, column) in enumerate(track(middles.tolist(), "Pursuing Gabors", total=len(middles))):
                members = pending[of_middle == each]
                window = GaborWindow(grid, PITCH * row, PITCH * column)
                now = result._fit(window, responses, members)
                stays = ((now - place[members]).abs().amax(1) <= 1) | is_last
                result._leave_out(window, responses, members[stays])
                del window  # else it would be held while the next one is made: hundreds of megabytes
                place[members] = now
                moved.append(members[~stays])
            pending = torch.cat(moved)
            if not len(pending):
                break
        return result

    def _fit(self, window: GaborWindow, responses: Tensor, members: Tensor) -> Int[Tensor, "neuron 2"]:
        """Fit some neurons in a window; return the middles of the windows that fit them best."""
        found, norm, _ = _pursue(window, responses[:, members])
        at = torch.stack(torch.unravel_index(found.number, window.shape))
        at[2:] += torch.tensor([window.rows.start, window.columns.start])[:, None, None]
        self.number[:, members] = (at * self.sizes[:, None, None]).sum(0)
        # from the whitened terms of the window to the terms themselves
        raw = torch.einsum("rckn,rkn->ckn", window.whiten[:, :, found.number], found.coefficients)
        self.coefficient[:, :, members] = raw * norm
        share = found.variance / found.variance.sum(0).clamp_min(1e-30)
        return ((share * at[2:]).sum(1).T / PITCH).round().long()

    def _leave_out(self, window: GaborWindow, responses: Tensor, members: Tensor) -> None:
        """Predict every part of the images from fits to the others."""
        if not len(members):
            return
        n_images = len(responses)
        n_folds = N_FOLDS if n_images < MANY_IMAGES else 2
        fold = torch.arange(n_images) * n_folds // n_images
        mean = responses[:, members].mean(0)
        for number in range(n_folds):
            rest, out = torch.where(fold != number)[0], torch.where(fold == number)[0]
            found, norm, level = _pursue(window.of_images(rest), responses[rest][:, members])
            terms = window.of_gabors(found.number)
            predicted = (terms * found.coefficients[:, None]).sum((0, 2)) * norm
            self.left_out[out[:, None], members] = predicted[out] - predicted[rest].mean(0) + level - mean

    def list_gabors(self) -> tuple[Int[Tensor, "4 gabor"], Tensor, Tensor, Tensor]:
        """Return the Gabors that some neuron uses, and for each weight its neuron, its feature and its value."""
        is_used = self.coefficient.abs().amax(0) > 0
        unique, index = torch.unique(self.number[is_used], return_inverse=True)
        gabor = torch.stack([unique // size % extent for size, extent in zip(self.sizes, self.shape, strict=True)])
        neuron = torch.where(is_used)[1].repeat(TERMS)
        feature = torch.cat([TERMS * index + term for term in range(TERMS)])
        return gabor, neuron, feature, torch.cat([self.coefficient[term][is_used] for term in range(TERMS)])


def _pursue(
    window: GaborWindow, responses: Float[Tensor, "image neuron"]
) -> tuple[Components, Float[Tensor, "neuron"], Float[Tensor, "neuron"]]:
    """Pursue responses in a window; return also the norm that coefficients are to be multiplied with, and the mean response."""
    mean = responses.mean(0)
    centred = responses - mean
    norm = centred.norm(dim=0).clamp_min(1e-12)
    return pursue(window, centred / norm, is_refined=False), norm, mean


def _terms(grid: GaborGrid, gabor: Int[Tensor, "4 gabor"]) -> Float[Tensor, "image feature"]:
    """Return even phase, odd phase and energy of some Gabors, the three of one Gabor side by side."""
    wave, orientation, row, column = gabor
    even, odd = (grid.maps[:, wave, phase, orientation, row, column].float() for phase in (0, 1))
    return torch.stack([even, odd, torch.hypot(even, odd)], dim=2).flatten(1)
