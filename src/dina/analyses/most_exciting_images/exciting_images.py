"""Images that drive a model neuron most, by gradient ascent under a fixed contrast; and natural images at that contrast."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

DARKEST, BRIGHTEST = -2.0, 2.0
"""Range of contrast of 8-bit pixels about mid grey, 64 levels to a unit."""

N_PROJECTIONS = 3

Drive = Callable[[Tensor], Tensor]
"""From images to the response of every neuron, shape ``(n_images, n_neurons)``, differentiable."""


def most_exciting_images(
    drive: Drive,
    start: Float[Tensor, "neuron channel height width"],
    contrast: float,
    n_steps: int,
    step: float,
    blur_px: float,
) -> Float[Tensor, "neuron channel height width"]:
    """Change the n-th image so that the n-th neuron answers more and more strongly.

    Parameters
    ----------
    drive
        The model neurons.
    start
        Images to begin from, one for each neuron.
    contrast
        Root mean square of every image about its mean of 0, at every step.
    n_steps
        Number of steps.
    step
        Length of each step, as a fraction of the length of the image; it falls linearly to a tenth.
    blur_px
        Standard deviation of the Gaussian by which gradients are blurred, against fine noise; 0 for none.

    References
    ----------
    Walker et al. (2019), Nat. Neurosci. 22:2060. https://doi.org/10.1038/s41593-019-0517-x
    """
    images = at_contrast(start, contrast)
    for number in range(n_steps):
        seen = images.detach().requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(drive(seen).diagonal().sum(), seen)
        gradient = blur(torch.nan_to_num(gradient), blur_px)
        length = gradient.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None, None]
        size = step * (1 - 0.9 * number / max(1, n_steps - 1)) * images.flatten(1).norm(dim=1)[:, None, None, None]
        images = at_contrast(images + size * gradient / length, contrast)
    return images.detach()


def at_contrast(
    images: Float[Tensor, "image channel height width"], contrast: float
) -> Float[Tensor, "image channel height width"]:
    """Return images with mean 0 and a root mean square of ``contrast``, as nearly as pixels between black and white allow.

    Examples
    --------
    >>> at_contrast(torch.tensor([[[[1.0, 3.0]]]]), 0.5).flatten().tolist()
    [-0.5, 0.5]
    """
    for _ in range(N_PROJECTIONS):  # clipping changes mean and contrast a little
        images = images - images.mean((1, 2, 3), keepdim=True)
        deviation = images.square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)
        images = (images * (contrast / deviation)).clamp(DARKEST, BRIGHTEST)
    return images


def blur(images: Float[Tensor, "image channel height width"], deviation: float) -> Float[Tensor, "image channel height width"]:
    """Blur images by a Gaussian; nothing comes from beyond the border."""
    if deviation <= 0:
        return images
    reach = max(1, round(3 * deviation))
    place = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    weights = torch.exp(-0.5 * (place / deviation) ** 2)
    weights = weights / weights.sum()
    planes = images.flatten(0, 1)[:, None]
    planes = F.conv2d(
        F.conv2d(planes, weights[None, None, :, None], padding=(reach, 0)), weights[None, None, None], padding=(0, reach)
    )
    return planes.view_as(images)
