"""The likelihood decoder with its noise learnt anew: from single training trials as they are, or shuffled between repeats."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from dina.analyses.likelihood_readout import LikelihoodReadout
from dina.data.pairs import Pairs
from dina.models.noise import decompose_residuals
from dina.retrieval.choice import mean_log_rank
from dina.statistics.repeats import shuffle_repeats
from dina.training.start import COMPONENT_COUNTS, SHRINKAGES

MOST_TRIALS = 3000
"""Single trials that a noise model is fitted to, at most: the cost grows with their cube."""


def learn_noise(
    readouts: tuple[LikelihoodReadout, LikelihoodReadout, LikelihoodReadout],
    train: Pairs,
    validation: Pairs,
    generator: np.random.Generator,
    *,
    is_shuffled: bool,
) -> LikelihoodReadout:
    """Fit a noise model to single training trials and put it into the decoder of the test images.

    What each neuron is expected to answer stays as it is: it was learnt from averages over trials, which no shuffling between
    repeats can change.

    Parameters
    ----------
    readouts
        The decoder for the training, validation and test images.
    train
        Gives the rows: each neuron's response in single trials, less what is expected.
    validation
        Its trials, treated alike, choose the number of components and the shrinkage.
    generator
        Of the choice of trials and of the shuffling.
    is_shuffled
        Whether neurons take their trials independently of each other.
    """
    for_train, for_validation, for_test = readouts
    chosen = np.sort(generator.permutation(len(train.responses))[:MOST_TRIALS])
    shown = shuffle_repeats(train.responses, train.stimulus_index, generator) if is_shuffled else train.responses
    residuals = shown[chosen] - for_train.evoked.float().numpy()[train.stimulus_index[chosen]]
    components = decompose_residuals(torch.from_numpy(residuals - residuals.mean(0)))
    responses = validation.responses
    if is_shuffled:
        responses = shuffle_repeats(responses, validation.stimulus_index, generator)
    best, winner = np.inf, for_test
    for n_components in sorted({min(count, train.n_neurons) for count in COMPONENT_COUNTS}):
        for shrinkage in SHRINKAGES:
            noise = components.noise(n_components, shrinkage)
            private, loadings = noise.private.double(), noise.loadings.double()
            scores = replace(for_validation, private=private, loadings=loadings).scores(torch.from_numpy(responses).double())
            loss = mean_log_rank(scores.numpy(), validation.stimulus_index)
            if loss < best:
                best, winner = loss, replace(for_test, private=private, loadings=loadings)
    return winner


def forget_correlations(readout: LikelihoodReadout) -> LikelihoodReadout:
    """Return the decoder with the same variances and no noise that is shared."""
    variance: Float[torch.Tensor, "neuron"] = readout.private + readout.loadings.square().sum(1)
    return replace(readout, private=variance, loadings=readout.loadings[:, :0])
