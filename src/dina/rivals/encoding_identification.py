"""Encoding models turned round: the image that would best explain the response, given noise shared by neurons."""

from dataclasses import replace
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor

from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries
from dina.models.encoding import EncodingModel, Windows
from dina.models.encoding_weights import GlobalWeights, LocalWeights
from dina.models.noise import repeat_differences
from dina.retrieval.choice import Candidate, choose_by_rank
from dina.rivals.front_ends import FRONT_ENDS, FrontEnd
from dina.rivals.noise_candidates import NoiseKind, noise_candidates
from dina.shapes import ContrastImages, Scores

WIDTHS = (0.5, 0.75, 1.1, 1.7, 2.5)
"""Widths of the receptive-field window tried by leave-one-out, in places of the map."""

FIELD_ORDER = 2

NAMES: dict[tuple[bool, str, str], str] = {
    (False, "gabor", "shared"): "encoding_global",
    (True, "gabor", "shared"): "encoding_local",
    (True, "gabor", "independent"): "encoding_independent",
    (True, "gabor", "shrinkage"): "encoding_shrinkage",
    (True, "opponent", "shared"): "encoding_opponent",
    (True, "network", "shared"): "encoding_network",
}
"""Whether weights are local, front end, and noise model → name in tables; other combinations are named after them."""

_Model = EncodingModel[LocalWeights] | EncodingModel[GlobalWeights]


class EncodingIdentification:
    r"""Predict every neuron's response to each candidate, and score candidates by the Gaussian log likelihood.

    Features of the image (Gabor energies and rectified phases, unless another front end is asked for) drive each neuron
    through ridge weights. Twenty settings of the noise covariance are tried on the validation images, from two sources:
    differences between repeats, and what left-out training images leave unexplained.

    Parameters
    ----------
    is_local
        Whether each neuron's weights are confined to a window around its receptive field.
    front_end
        Name in `FRONT_ENDS` of the features of the image.
    noise
        "shared" by some components, "independent" from neuron to neuron, or a whole covariance under "shrinkage".
    seed
        Of what is random in the front end: the first weights and batches of a network.

    Attributes
    ----------
    chosen
        What leave-one-out and validation chose, after `fit`.

    Notes
    -----
    The score is :math:`r^T \Sigma^{-1} \mu - \tfrac12 \mu^T \Sigma^{-1} \mu`, the log likelihood of a response
    :math:`r` given the prediction :math:`\mu` up to a term of :math:`r` alone, less its average over the predictions
    for training images, each made without that image (`dina.models.encoding.EncodingModel.information`).

    References
    ----------
    Kay et al. (2008), Nature 452:352. https://doi.org/10.1038/nature06713
    """

    reads: ClassVar[Literal["images", "templates", "truth"]] = "images"

    def __init__(
        self,
        *,
        is_local: bool,
        front_end: Literal["gabor", "opponent", "network"] = "gabor",
        noise: NoiseKind = "shared",
        seed: int = 0,
    ) -> None:
        self.name = NAMES.get((is_local, front_end, noise), f"encoding_{front_end}_{noise}")
        self.is_local = is_local
        self.front_end = front_end
        self.noise = noise
        self.seed = seed
        self.chosen: dict[str, str | float] = {}
        self._front: FrontEnd | None = None

    @torch.no_grad()
    def fit(self, train: Pairs, validation: Pairs) -> Self:
        """Learn weights and noise from ``train``; choose the noise model by ``validation``."""
        self._front = FRONT_ENDS[self.front_end]()
        maps = self._front.learn(train, validation, self.seed)
        self.chosen |= self._front.chosen
        responses = torch.from_numpy(train.averaged())
        if self.is_local:
            windows = Windows.find(maps, responses, WIDTHS, FIELD_ORDER)
            self.chosen["window_width"] = windows.width
            model: _Model = EncodingModel.fit(maps, responses, windows)
        else:
            model = EncodingModel.fit_everywhere(maps, responses)
        residuals = {"left_out_images": responses - model.weights.predicted}
        differences = repeat_differences(train)
        if differences is not None:
            residuals["repeats"] = differences
        expected = _expect(model, self._front, validation.images)
        measured = torch.from_numpy(validation.averaged())
        best = choose_by_rank(
            Candidate(noise, setting, noise.log_likelihood(measured, expected).numpy())
            for noise, setting in noise_candidates(self.noise, residuals)
        )
        self._model = replace(model, noise=best.model)
        self.chosen |= best.setting
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
        if self._front is None:
            raise DataError("A decoder must be fitted before it scores; call fit(train, validation) first.")
        responses = torch.from_numpy(np.asarray(queries.responses, dtype=np.float32))
        relative = torch.from_numpy(np.asarray(queries.n_presentations, dtype=np.float32)) / self._typical_presentations
        return self._model.information(responses, _expect(self._model, self._front, gallery.images), relative).numpy()


def _expect(model: _Model, front_end: FrontEnd, images: ContrastImages) -> Tensor:
    """Return the response that every image is expected to evoke."""
    return torch.cat([model.weights.predict(maps) for maps in front_end.encode(images)])
