"""Batch normalisation over the rows of all processes that divide a batch; in one process that of torch."""

import torch
from torch import Tensor, nn

from dina.models.towers.divided_batch import sum_of_processes
from dina.processes import n_processes


class _OverAllRows(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation over the rows of all processes while training; else as in torch, whose own needs a GPU for this."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, values: Tensor) -> Tensor:
        """Return normalised values, and note mean and variance as torch does."""
        if n_processes() == 1 or not self.training:
            return super().forward(values)
        axes = (0, *range(2, values.dim()))
        shape = (1, -1, *(1 for _ in axes[1:]))
        exact = values if values.dtype == torch.float64 else values.float()
        n = float(sum_of_processes(torch.tensor(float(values.numel() // values.shape[1]))))
        mean = sum_of_processes(exact.sum(axes)) / n
        deviation = exact - mean.view(shape)
        variance = sum_of_processes(deviation.square().sum(axes)) / n
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_var.lerp_((variance * (n / (n - 1))).to(self.running_var.dtype), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return torch.addcmul(self.bias.view(shape), deviation, scale.view(shape)).to(values.dtype)


class BatchNorm1d(_OverAllRows, nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d` over the rows of all processes."""


class BatchNorm2d(_OverAllRows, nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` over the rows of all processes."""
