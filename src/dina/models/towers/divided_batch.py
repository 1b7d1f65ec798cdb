"""A batch whose rows are divided among processes: which rows are whose, how they come together, and sums over all processes."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from dina.processes import n_processes, process_number


def own_rows(n_rows: int) -> slice:
    """Return which of so many rows this process computes; shares differ by one row at the most."""
    number, n = process_number(), n_processes()
    return slice(number * n_rows // n, (number + 1) * n_rows // n)


def place_of_rows(n_own: int) -> tuple[int, int]:
    """Return where the rows of this process begin among those of all processes, and how many these are."""
    if n_processes() == 1:
        return 0, n_own
    counts = torch.zeros(n_processes(), dtype=torch.int64)
    counts[process_number()] = n_own
    dist.all_reduce(counts)
    return int(counts[: process_number()].sum()), int(counts.sum())


def gather_rows(rows: Tensor) -> Tensor:
    """Return the rows of all processes in order; gradients find their way back.

    Zeros stand for the rows of the others, so that a sum puts all of them together without rounding.
    """
    if n_processes() == 1:
        return rows
    first, n_rows = place_of_rows(len(rows))
    before = rows.new_zeros(first, *rows.shape[1:])
    after = rows.new_zeros(n_rows - first - len(rows), *rows.shape[1:])
    return sum_of_processes(torch.cat([before, rows, after]))


def sum_of_processes(values: Tensor) -> Tensor:
    """Return the sum over processes; its gradient is the sum of those that all processes have."""
    if n_processes() == 1:
        return values
    total: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
    return total


@torch.no_grad()
def average_over_processes(gradients: Sequence[Tensor]) -> None:
    """Replace gradients, in place, by their means over processes.

    Every process has the gradients of the sum of all processes' losses. These are one and the same loss, so that the mean is
    its gradient. The gradients travel as one vector.
    """
    if n_processes() == 1:
        return
    together = sum_of_processes(torch.cat([gradient.flatten() for gradient in gradients])) / n_processes()
    for gradient, mean in zip(gradients, torch.split(together, [each.numel() for each in gradients]), strict=True):
        gradient.copy_(mean.view(gradient.shape))


class _Sum(torch.autograd.Function):
    """The sum over processes, and of gradients as well."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradient)
