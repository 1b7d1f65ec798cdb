"""Eigenvectors survive matrices that the single-precision solver gives up on."""

import pytest
import torch

from dina.models.gram_matrices import eigenvectors_of


def test_a_solver_that_fails_in_single_precision_is_replaced_by_double(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = torch.linalg.eigh

    def fails_in_single_precision(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if matrix.dtype == torch.float32:
            raise RuntimeError("did not converge")
        return exact(matrix)

    monkeypatch.setattr(torch.linalg, "eigh", fails_in_single_precision)
    features = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    gram = features.T @ features

    values, vectors = eigenvectors_of(gram)

    assert values.dtype == torch.float32
    # single-precision rounding of numbers of order ten
    torch.testing.assert_close(vectors @ torch.diag(values) @ vectors.T, gram, atol=1e-4, rtol=0)
