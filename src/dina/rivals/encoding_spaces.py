"""An encoding model of the same feature spaces as the default preset, but without places: features and locality told apart."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dina.data.pairs import Gallery, Pairs, Queries
from dina.models.encoding import choose_typical, log_evidence
from dina.models.noise import LowRankNoise
from dina.models.spaces import SPACES, FeatureSpace
from dina.models.stacking import stack_predictions
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.retrieval.decoder import Candidate
from dina.retrieval.noise_choice import Predictions, judge_noises
from dina.rivals.validated_decoder import ValidatedDecoder
from dina.shapes import ContrastImages, Scores

IMAGES_AT_ONCE = 64


class EncodingSpaces(ValidatedDecoder):
    """Stack ridge regressions on whole images: pixels, Gabor channels and, where it is installed, a trained encoder.

    Score candidates by the Gaussian log likelihood, as `dina.rivals.encoding_identification.EncodingIdentification` does. What
    dina gains over this rival comes from receptive fields and from training, not from the features.
    """

    def __init__(self) -> None:
        super().__init__("encoding_spaces")

    def candidates(self, train: Pairs, validation: Pairs) -> Iterator[Candidate["_Stack"]]:
        """Yield the stack with every noise model."""
        channels, height, width = (int(extent) for extent in train.images.shape[1:])
        tower = GaborEnergy((channels, height, width), n_contrasts=0)
        images, responses = torch.from_numpy(train.images), torch.from_numpy(train.averaged())
        maps = tower.learn_statistics(images)
        usual = {name: kind for name, kind in SPACES.items() if kind.is_by_default}
        possible = {name: kind for name, kind in usual.items() if not kind.explain_absence((channels, height, width))}
        spaces = {name: kind((channels, height, width), tower.map_shape) for name, kind in possible.items()}
        mean = responses.mean(0)
        fits = {name: space.fit(images, maps, responses) for name, space in spaces.items() if space.is_whole}
        predicted = torch.stack([fit.predicted for fit in fits.values()])
        shares = stack_predictions(predicted, responses - mean)
        weights = {name: fit.weights for name, fit in fits.items() if isinstance(fit.weights, Tensor)}
        shared = {name: each * share[:, None] for (name, each), share in zip(weights.items(), shares.T, strict=True)}
        stacked = mean + torch.einsum("ksn,nk->sn", predicted, shares)
        noise = LowRankNoise(torch.ones_like(mean), torch.zeros(len(mean), 0))
        typical = choose_typical(stacked)
        stack = _Stack(tower, spaces, shared, mean, noise, typical, float(train.total_presentations().mean()))
        measured = torch.from_numpy(validation.averaged())
        setting = {f"share_{name}": round(float(share.mean()), 3) for name, share in zip(shared, shares.T, strict=True)}
        for judged in judge_noises(Predictions(responses, stacked, measured, stack.expect(validation.images))):
            model = replace(stack, noise=judged.model)
            yield Candidate(model, {**setting, **judged.setting}, judged.scores, judged.log_ranks)


@dataclass(frozen=True, eq=False)
class _Stack:
    """A fitted stack that scores images: log p(response | image) − log p(response)."""

    tower: GaborEnergy
    spaces: dict[str, FeatureSpace]
    weights: dict[str, Float[Tensor, "neuron feature"]]
    mean: Float[Tensor, "neuron"]
    noise: LowRankNoise
    typical: Float[Tensor, "typical neuron"]
    n_presentations: float

    def expect(self, images: ContrastImages) -> Float[Tensor, "image neuron"]:
        """Return the response that every image is expected to evoke."""
        expected = []
        for chunk in torch.split(torch.from_numpy(images), IMAGES_AT_ONCE):
            maps = self.tower.standard_maps(chunk)
            expected.append(self.mean + sum(self.spaces[name](chunk, maps) @ each.T for name, each in self.weights.items()))
        return torch.cat(expected)

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Return the information of every response about every image, in nats."""
        responses = torch.from_numpy(np.asarray(queries.responses, dtype=np.float32))
        relative = torch.from_numpy(np.asarray(queries.n_presentations, dtype=np.float32)) / self.n_presentations
        evidence = log_evidence(self.noise.log_likelihood(responses, self.typical), relative)
        return np.asarray((self.noise.log_likelihood(responses, self.expect(gallery.images)) - evidence[:, None]).numpy())
