"""How probable a response is whatever the image was, judged by what many images are expected to evoke."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

N_TYPICAL = 2048
"""Most images to judge by; with a quarter of them, responses are found noticeably less well."""


def log_evidence(
    log_likelihood: Float[Tensor, "query typical"], relative_presentations: Float[Tensor, "query"]
) -> Float[Tensor, "query"]:
    r"""Return log p(response), averaged over typical images, in the units of the scores.

    Subtracted from scores it leaves pointwise mutual information, by which an image finds its own response as well as
    a response finds its image. It is the same for all candidates, so the order of candidates stays.

    Parameters
    ----------
    log_likelihood
        Of each response given each typical image, for the noise of a training average.
    relative_presentations
        Presentations behind each response ÷ those behind a training average; the noise variance falls with it.

    Notes
    -----
    :math:`\frac1a \log \frac1n \sum_j e^{a \ell_j}` with :math:`a` the relative number of presentations.

    Examples
    --------
    >>> log_evidence(torch.full((1, 4), 3.0), torch.ones(1))
    tensor([3.])
    """
    weight = relative_presentations[:, None]
    total = torch.logsumexp(weight * log_likelihood.double(), dim=1) - math.log(log_likelihood.shape[1])
    return (total / relative_presentations).to(log_likelihood.dtype)


def choose_typical(expected: Float[Tensor, "stimulus neuron"]) -> Float[Tensor, "typical neuron"]:
    """Return the expected responses to at most `N_TYPICAL` images, evenly spaced."""
    rows = torch.linspace(0, len(expected) - 1, min(len(expected), N_TYPICAL)).round().long()
    return expected[rows.to(expected.device)]
