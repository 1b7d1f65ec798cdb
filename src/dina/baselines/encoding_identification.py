"""Encoding models turned round: the image that would best explain the response, given noise shared by neurons."""

from typing import ClassVar, Literal, Self

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dina.checks import DataError
from dina.dataset.pairs import Gallery, Pairs, Queries
from dina.encoding.evidence import choose_typical, log_evidence
from dina.encoding.global_ridge import GlobalWeights, fit_global_ridge
from dina.encoding.local_ridge import LocalWeights, choose_width, fit_local_ridge
from dina.encoding.noise_covariance import decompose_residuals, repeat_differences
from dina.encoding.receptive_fields import estimate_centres
from dina.measures.ranks import target_ranks
from dina.shapes import Scores
from dina.towers.image.gabor_energy import GaborEnergy
from dina.towers.neural.shared_noise import SharedNoise

COMPONENT_COUNTS = (0, 32, 64, 128, 256)
"""Numbers of shared noise components tried on the validation images."""

SHRINKAGES = (0.1, 0.5)
"""Shrinkages of the noise correlations tried on the validation images."""

WIDTHS = (0.5, 0.75, 1.1, 1.7, 2.5)
"""Widths of the receptive-field window tried by leave-one-out, in places of the map."""

FIELD_ORDER = 2
IMAGES_AT_ONCE = 64


class EncodingIdentification:
    r"""Predict every neuron's response to each candidate, and score candidates by the Gaussian log likelihood.

    Gabor energies and rectified phases of the image drive each neuron through ridge weights. Twenty settings of the
    noise covariance are tried on the validation images: five numbers of shared components × two shrinkages × two
    sources (differences between repeats; what left-out training images leave unexplained).

    Parameters
    ----------
    is_local
        Whether each neuron's weights are confined to a window around its receptive field.

    Notes
    -----
    The score is :math:`r^T \Sigma^{-1} \mu - \tfrac12 \mu^T \Sigma^{-1} \mu`, the log likelihood of a response
    :math:`r` given the prediction :math:`\mu` up to a term of :math:`r` alone, less its average over the predictions
    for training images, each made without that image (`dina.encoding.evidence.log_evidence`).

    References
    ----------
    Kay et al. (2008), Nature 452:352. https://doi.org/10.1038/nature06713
    """

    reads: ClassVar[Literal["images", "templates", "truth"]] = "images"

    def __init__(self, *, is_local: bool) -> None:
        self.name = "encoding_local" if is_local else "encoding_global"
        self.is_local = is_local
        self.chosen: dict[str, str | float] = {}
        self._tower: GaborEnergy | None = None

    @torch.no_grad()
    def fit(self, train: Pairs, validation: Pairs) -> Self:
        """Learn weights and noise from ``train``; choose the noise model by ``validation``."""
        channels, height, width = (int(extent) for extent in train.images.shape[1:])
        self._tower = GaborEnergy((channels, height, width), n_contrasts=0)
        maps = self._tower.learn_statistics(torch.from_numpy(train.images))
        responses = torch.from_numpy(train.averaged())
        if self.is_local:
            centre = estimate_centres(maps, responses)
            window = choose_width(maps, responses, centre, WIDTHS, FIELD_ORDER)
            self.chosen["window_width"] = window
            self._weights: LocalWeights | GlobalWeights = fit_local_ridge(maps, responses, centre[:, None], window, FIELD_ORDER)
        else:
            self._weights = fit_global_ridge(maps, responses)
        residuals = {"left_out_images": responses - self._weights.predicted}
        differences = repeat_differences(train)
        if differences is not None:
            residuals["repeats"] = differences
        self._choose_noise(residuals, validation)
        self._typical = choose_typical(self._weights.predicted)
        self._typical_presentations = float(train.total_presentations().mean())
        return self

    @torch.no_grad()
    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Return log p(response | image) − log p(response), the second averaged over the training images.

        Raises
        ------
        DataError
            If `fit` was not called.
        """
        if self._tower is None:
            raise DataError("A decoder must be fitted before it scores; call fit(train, validation) first.")
        asked = torch.from_numpy(np.asarray(queries.responses, dtype=np.float32))
        relative = torch.from_numpy(np.asarray(queries.n_presentations, dtype=np.float32)) / self._typical_presentations
        evidence = log_evidence(_compare(asked, self._typical, self._noise), relative)
        return (_compare(asked, self._predict(gallery.images), self._noise) - evidence[:, None]).numpy()

    def _predict(self, images: np.ndarray) -> Tensor:
        assert self._tower is not None  # set in fit; tells the type checker
        chunks = [
            self._weights.predict(self._tower(torch.from_numpy(images[first : first + IMAGES_AT_ONCE])))
            for first in range(0, len(images), IMAGES_AT_ONCE)
        ]
        return torch.cat(chunks)

    def _choose_noise(self, residuals: dict[str, Tensor], validation: Pairs) -> None:
        """Take the noise model with the lowest mean log rank of the averaged validation responses."""
        evoked = self._predict(validation.images)
        asked = torch.from_numpy(validation.averaged())
        itself = np.arange(validation.n_stimuli)
        lowest = np.inf
        for source, rows in residuals.items():
            components = decompose_residuals(rows)
            for n_components in COMPONENT_COUNTS:
                for shrinkage in SHRINKAGES:
                    noise = components.noise(n_components, shrinkage)
                    loss = float(np.log(target_ranks(_compare(asked, evoked, noise).numpy(), itself)).mean())
                    if loss < lowest:
                        lowest, self._noise = loss, noise
                        self.chosen |= {"noise_from": source, "noise_components": n_components, "noise_shrinkage": shrinkage}


def _compare(
    responses: Float[Tensor, "query neuron"], evoked: Float[Tensor, "gallery neuron"], noise: SharedNoise
) -> Float[Tensor, "query gallery"]:
    whitened = noise.divide(evoked)
    return responses @ whitened.T - 0.5 * (whitened * evoked).sum(1)
