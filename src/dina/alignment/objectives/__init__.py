"""Objectives: what training asks of the scores of a batch."""

from collections.abc import Callable

from torch import Tensor

from dina.alignment.objectives.contrastive import symmetric_info_nce

Objective = Callable[[Tensor, Tensor], Tensor]
"""From the scores (batch, batch), true pairs on the diagonal, and the images' groups (batch,) to a loss."""

OBJECTIVES: dict[str, Objective] = {"contrastive": symmetric_info_nce}
"""Every objective by name."""

__all__ = ["OBJECTIVES", "Objective", "symmetric_info_nce"]
