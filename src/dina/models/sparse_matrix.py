"""A sparse matrix of few entries, made without a warning by every supported torch."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def sparse_matrix(
    row: Int[Tensor, "entry"],
    column: Int[Tensor, "entry"],
    value: Float[Tensor, "entry"],
    shape: tuple[int, int],
    *,
    is_coalesced: bool = False,
) -> Float[Tensor, "row column"]:
    """Return the matrix with these entries; where ``is_coalesced``, no place is named twice and entries stand in order of their place.

    Examples
    --------
    >>> sparse_matrix(torch.tensor([0, 1]), torch.tensor([1, 0]), torch.ones(2), (2, 2)).to_dense()
    tensor([[0., 1.],
            [1., 0.]])
    """
    # torch 2.11 warns wherever this was not said for the whole process, even if the call says it
    with torch.sparse.check_sparse_tensor_invariants(False):  # type: ignore[no-untyped-call]
        return torch.sparse_coo_tensor(torch.stack([row, column]), value, shape, is_coalesced=is_coalesced or None)
