"""Inner products of all feature maps, and eigenvectors of such matrices, also where many eigenvalues are zero."""

import torch
from jaxtyping import Float
from torch import Tensor


def eigenvectors_of(gram: Float[Tensor, "row row"]) -> tuple[Float[Tensor, "row"], Float[Tensor, "row row"]]:
    """Return eigenvalues of a symmetric, finite matrix in ascending order, and eigenvectors in columns.

    With fewer images than features most eigenvalues are zero. Where the single-precision solver then fails to converge,
    double precision is used.

    Examples
    --------
    >>> eigenvectors_of(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))[0]
    tensor([1., 2.])
    """
    try:
        values, vectors = torch.linalg.eigh(gram)
    except RuntimeError:  # what the solver raises is a kind of it
        values, vectors = torch.linalg.eigh(gram.double())
    return values.to(gram.dtype), vectors.to(gram.dtype)


def multiply_maps(
    first: Float[Tensor, "image channel height width"], second: Float[Tensor, "stimulus channel height width"]
) -> Float[Tensor, "image stimulus"]:
    """Return all inner products of two sets of maps, channel by channel, in single precision."""
    total = torch.zeros(len(first), len(second), device=first.device)
    for channel in range(first.shape[1]):
        total += first[:, channel].float().flatten(1) @ second[:, channel].float().flatten(1).T
    return total
