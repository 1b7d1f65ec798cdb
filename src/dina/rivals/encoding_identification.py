"""Encoding models turned round: the image that would best explain the response, given noise shared by neurons."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dina.data.pairs import Gallery, Pairs, Queries
from dina.models.encoding import EncodingModel, Windows
from dina.models.global_ridge import GlobalWeights
from dina.models.local_ridge import LocalWeights
from dina.models.noise import LowRankNoise, ResidualComponents, decompose_residuals, repeat_differences
from dina.retrieval.decoder import Candidate
from dina.retrieval.noise_choice import Predictions, judge_noises
from dina.rivals.front_ends import FRONT_ENDS, FrontEnd
from dina.rivals.validated_decoder import ValidatedDecoder
from dina.shapes import ContrastImages, Scores

# Widths of the receptive-field window tried by leave-one-out, in places of the map.
WIDTHS = (0.5, 0.75, 1.1, 1.7, 2.5)

FIELD_ORDER = 2

NoiseKind = Literal["shared", "independent", "shrinkage"]

# Shrinkages of a whole covariance towards its diagonal.
WHOLE_SHRINKAGES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 0.95)

# How far the variances of independent noise are drawn towards their mean over neurons.
EQUALISATIONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

_Model = EncodingModel[LocalWeights] | EncodingModel[GlobalWeights]


class EncodingIdentification(ValidatedDecoder):
    r"""Predict every neuron's response to each candidate, and score candidates by the Gaussian log likelihood.

    Features of the image drive each neuron through ridge weights. Some twenty settings of the noise covariance are tried, from
    each of two sources: differences between repeats, and residuals of left-out training images. Validation images choose and,
    where training images are predicted without having taken part, these too.

    Parameters
    ----------
    name
        The word used in tables.
    is_local
        Whether each neuron's weights are confined to a window around its receptive field.
    front_end
        Name in `FRONT_ENDS` of the features of the image.
    noise
        "shared" by some components, "independent" from neuron to neuron, or a whole covariance under "shrinkage".
    seed
        Seed of the random parts of the front end: the first weights and batches of a network.

    Notes
    -----
    The score is :math:`r^T \Sigma^{-1} \mu - \tfrac12 \mu^T \Sigma^{-1} \mu`: the log likelihood of response :math:`r`
    given the prediction :math:`\mu`, without the term that depends on :math:`r` alone. The average of this quantity over the
    training images is subtracted; each of their predictions is made without the image itself
    (`dina.models.encoding.EncodingModel.information`).

    References
    ----------
    Kay et al. (2008), Nature 452:352. https://doi.org/10.1038/nature06713
    """

    def __init__(
        self,
        name: str = "encoding_local",
        *,
        is_local: bool = True,
        front_end: Literal["gabor", "opponent", "network"] = "gabor",
        noise: NoiseKind = "shared",
        seed: int = 0,
    ) -> None:
        super().__init__(name)
        self.is_local = is_local
        self.front_end = front_end
        self.noise = noise
        self.seed = seed

    def candidates(self, train: Pairs, validation: Pairs) -> Iterator[Candidate["_Inverted"]]:
        """Yield one encoding model with every noise model."""
        front_end = FRONT_ENDS[self.front_end]()
        maps = front_end.learn(train, validation, self.seed)
        setting = dict(front_end.chosen)
        responses = torch.from_numpy(train.averaged())
        if self.is_local:
            windows = Windows.find(maps, responses, WIDTHS, FIELD_ORDER)
            setting["window_width"] = windows.width
            model: _Model = EncodingModel.fit(maps, responses, windows)
        else:
            model = EncodingModel.fit_everywhere(maps, responses)
        measured, expected = torch.from_numpy(validation.averaged()), _expect(model, front_end, validation.images)
        predictions = Predictions(responses, model.weights.predicted, measured, expected)
        n_presentations = float(train.total_presentations().mean())
        for judged in self._noises(predictions, repeat_differences(train)):
            inverted = _Inverted(front_end, replace(model, noise=judged.model), n_presentations)
            yield Candidate(inverted, {**setting, **judged.setting, **model.weights.notes}, judged.scores, judged.log_ranks)

    def _noises(self, predictions: Predictions, differences: Tensor | None) -> Iterator[Candidate[LowRankNoise]]:
        """Yield noise models from residuals of left-out images and, where there are any, from differences between repeats."""
        sources = {"left_out_images": None} if differences is None else {"left_out_images": None, "repeats": differences}
        for source, rows in sources.items():
            if self.noise == "shared":
                # a network has seen the responses to all training images: none is left out
                judged = judge_noises(predictions, residuals=rows, is_left_out=self.front_end != "network")
            else:
                judged = judge_by_validation(self.noise, predictions, predictions.residuals if rows is None else rows)
            for each in judged:
                yield replace(each, setting={"noise_from": source, **each.setting})


@dataclass(frozen=True, eq=False)
class _Inverted:
    """An encoding model that scores images: log p(response | image) − log p(response)."""

    front_end: FrontEnd
    model: _Model
    n_presentations: float

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        responses = torch.from_numpy(np.asarray(queries.responses, dtype=np.float32))
        relative = torch.from_numpy(np.asarray(queries.n_presentations, dtype=np.float32)) / self.n_presentations
        scores = self.model.information(responses, _expect(self.model, self.front_end, gallery.images), relative)
        return np.asarray(scores.numpy())


def _expect(model: _Model, front_end: FrontEnd, images: ContrastImages) -> Tensor:
    """Return the response that every image is expected to evoke."""
    return torch.cat([model.weights.predict(maps) for maps in front_end.encode(images)])


def judge_by_validation(
    kind: NoiseKind, predictions: Predictions, residuals: Float[Tensor, "row neuron"]
) -> Iterator[Candidate[LowRankNoise]]:
    """Yield ten noise models, with the settings that made them, and the scores of validation images.

    "independent": nothing in common. "shrinkage": the full sample covariance with shrunken correlations. Its rank is at most the
    number of residuals, and the matrix is never formed.

    References
    ----------
    Ledoit & Wolf (2004), J. Multivar. Anal. 88:365. https://doi.org/10.1016/S0047-259X(03)00096-4. They compute the
    shrinkage and shrink towards equal variances; here validation chooses it and variances are kept.
    """
    components = decompose_residuals(residuals) if kind == "shrinkage" else ResidualComponents.none(residuals)
    shrinkages = WHOLE_SHRINKAGES if kind == "shrinkage" else EQUALISATIONS
    for noise, setting in components.noises((len(components.strength),), shrinkages):
        if kind == "independent":
            noise = LowRankNoise(noise.private.lerp(noise.private.mean(), float(setting["noise_shrinkage"])), noise.loadings)
        scores = noise.log_likelihood(predictions.other_responses, predictions.other_expected)
        yield Candidate(noise, setting, scores.numpy())
