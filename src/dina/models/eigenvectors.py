"""Eigenvectors of a Gram matrix, also where many eigenvalues are zero."""

import torch
from jaxtyping import Float
from torch import Tensor


def eigenvectors_of(gram: Float[Tensor, "row row"]) -> tuple[Float[Tensor, "row"], Float[Tensor, "row row"]]:
    """Return eigenvalues in ascending order, and eigenvectors in columns.

    With fewer images than features most eigenvalues are zero, and the single-precision solver may then fail to
    converge. Such a matrix is decomposed in double precision.

    Parameters
    ----------
    gram
        Symmetric, finite.

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
