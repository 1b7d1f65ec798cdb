"""How feature maps depend on the contrast of the whole image: their expected value, and the gain of what differs from it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

DARKEST = 1e-3  # contrast below which an image counts as blank
CLOSEST_KNOTS = 0.05  # in natural logarithms of contrast


class ContrastGain(nn.Module):
    """Subtract the maps expected at an image's contrast, and scale the rest by a gain of contrast.

    Faint images drive neurons weakly, so that their small differences must not be read with the gain of strong ones. All is
    piecewise linear in the logarithm of root-mean-square contrast between at least two knots. The weights of the knots are
    added as ``n_knots`` constant channels, so that a neuron's mean response can follow contrast. ``gain`` is 1 at the
    start; ``knot`` is the natural logarithm of contrast, increasing; ``expected`` holds the maps expected at each knot.
    """

    knot: Tensor
    expected: Tensor

    def __init__(self, map_shape: tuple[int, int, int], n_knots: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(n_knots))
        self.register_buffer("knot", torch.arange(n_knots, dtype=torch.float32) - n_knots)
        self.register_buffer("expected", torch.zeros(n_knots, *map_shape))

    def draw_parameters(self, generator: torch.Generator) -> None:
        """Set every gain to 1; nothing here is random."""
        self.gain.data.fill_(1.0)

    def place_knots(self, images: Float[Tensor, "stimulus channel height width"]) -> None:
        """Place the knots at quantiles of the contrasts of the training images."""
        quantile = torch.linspace(0.02, 0.98, len(self.knot))
        knots = torch.quantile(log_contrast(images), quantile).tolist()
        for number in range(1, len(knots)):
            knots[number] = max(knots[number], knots[number - 1] + CLOSEST_KNOTS)
        self.knot.copy_(torch.tensor(knots))

    def knot_weights(self, images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch knot"]:
        """Return how much each knot counts for each image: at most two are not 0, and they sum to 1."""
        contrast = log_contrast(images).clamp(self.knot[0], self.knot[-1])
        left = (torch.searchsorted(self.knot, contrast.contiguous(), right=True) - 1).clamp(0, len(self.knot) - 2)
        share = ((contrast - self.knot[left]) / (self.knot[left + 1] - self.knot[left]))[:, None]
        weights = contrast.new_zeros(len(contrast), len(self.knot))
        return weights.scatter(1, left[:, None], 1 - share).scatter(1, left[:, None] + 1, share)

    def forward(
        self, maps: Float[Tensor, "batch channel height width"], weights: Float[Tensor, "batch knot"]
    ) -> Float[Tensor, "batch channel_and_knot height width"]:
        """Return the scaled deviations from the expected maps, then one constant channel per knot."""
        deviation = maps - torch.einsum("bk,kchw->bchw", weights, self.expected)
        scaled = deviation * (weights @ self.gain)[:, None, None, None]
        return torch.cat([scaled, weights[:, :, None, None].expand(-1, -1, *maps.shape[2:])], dim=1)


def log_contrast(images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch"]:
    """Return the natural logarithm of the root-mean-square contrast of each image's luminance."""
    luminance = images.mean(1).flatten(1)
    return luminance.std(dim=1, correction=0).clamp_min(DARKEST).log()


def solve_knots(weights: Float[Tensor, "row knot"], values: Float[Tensor, "row column"]) -> Float[Tensor, "knot column"]:
    """Return the value at each knot that fits ``values`` best (least squares with a slight pull to 0)."""
    gram = weights.T @ weights
    ridge = 1e-3 * gram.diagonal().mean() * torch.eye(len(gram), device=gram.device, dtype=gram.dtype)
    return torch.linalg.solve(gram + ridge, weights.T @ values)


def expect_by_place(
    weights: Float[Tensor, "batch knot"], expected: Float[Tensor, "knot channel height width"]
) -> Float[Tensor, "height width batch channel"]:
    """Return the maps that are expected at the contrast of images, stored place by place."""
    return torch.einsum("bk,khwc->bhwc", weights, expected.permute(0, 2, 3, 1)).permute(1, 2, 0, 3)


def keep_components(at_knot: Float[Tensor, "knot column"], n_components: int) -> Float[Tensor, "knot column"]:
    """Return values at knots that follow contrast along their few largest directions; the rest is mostly noise.

    Examples
    --------
    >>> values = torch.tensor([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]])
    >>> torch.allclose(keep_components(values, 1), values, atol=1e-6)
    True
    """
    mean = at_knot.mean(0)
    left, strength, right = torch.linalg.svd(at_knot - mean, full_matrices=False)
    return mean + (left[:, :n_components] * strength[:n_components]) @ right[:n_components]
