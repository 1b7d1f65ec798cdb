"""One block of the dual-stream image tower: a local and a global pathway side by side, exchanging what they found."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dina.models.towers.map_geometry import resize_bilinear

PATHWAYS = ("local", "global")


class Attention(nn.Module):
    """Multi-head attention of one set of places to another.

    Parameters
    ----------
    width
        Channels of both sets.
    n_heads
        Number of heads; must divide ``width``.
    """

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.output = nn.Linear(width, width)

    def forward(
        self, asking: Float[Tensor, "batch place width"], asked: Float[Tensor, "batch other_place width"]
    ) -> Float[Tensor, "batch place width"]:
        """Return for each place of ``asking`` what it reads from ``asked``."""
        query, key, value = (
            layer(places).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for layer, places in ((self.query, asking), (self.key, asked), (self.value, asked))
        )
        read = F.scaled_dot_product_attention(query, key, value)
        return self.output(read.transpose(1, 2).flatten(2))


class MixedBlock(nn.Module):
    """Positional convolution, two pathways with cross-attention, and a two-layer perceptron at each place.

    Parameters
    ----------
    width
        Number of channels; each pathway gets one half.
    coarseness
        The global pathway sees one place in ``coarseness`` along each axis.
    n_heads
        Heads of the global pathway's self-attention.
    n_cross_heads
        Heads of both cross-attentions.
    residual_cross_attention
        Whether what a pathway reads from the other is added to what it has (as published) or replaces it (as
        released).
    """

    def __init__(self, width: int, coarseness: int, n_heads: int, n_cross_heads: int, residual_cross_attention: bool) -> None:
        super().__init__()
        half = width // 2
        self.coarseness = coarseness
        self.residual_cross_attention = residual_cross_attention
        self.position = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.entrance = nn.Sequential(nn.BatchNorm2d(width), nn.Conv2d(width, width, 1))
        self.local = nn.Conv2d(half, half, 3, padding=1, groups=half)
        self.norm = nn.LayerNorm(half)
        self.self_attention = Attention(half, n_heads)
        self.local_reads_global, self.global_reads_local = Attention(half, n_cross_heads), Attention(half, n_cross_heads)
        self.merge = nn.Conv2d(width, width, 1)
        self.perceptron = nn.Sequential(
            nn.BatchNorm2d(width), nn.Conv2d(width, 4 * width, 1), nn.GELU(), nn.Conv2d(4 * width, width, 1)
        )

    def forward(
        self, maps: Float[Tensor, "batch width height columns"], masked: tuple[str, ...] = ()
    ) -> Float[Tensor, "batch width height columns"]:
        """Return the block's maps; a masked pathway is 0 before and after the exchange."""
        maps = maps + self.position(maps)
        fine, coarse = self.entrance(maps).chunk(2, dim=1)
        fine = fine + self.local(fine)
        coarse = _thin_out(coarse, self.coarseness)
        size, coarse_size = fine.shape[-2:], coarse.shape[-2:]
        fine, coarse = fine.flatten(2).transpose(1, 2), coarse.flatten(2).transpose(1, 2)
        normed = self.norm(coarse)
        coarse = coarse + self.self_attention(normed, normed)
        # multiplying by 0 keeps the graph whole, so that gradients of a masked tower are 0 rather than absent
        keep_local, keep_global = float("local" not in masked), float("global" not in masked)
        fine, coarse = keep_local * fine, keep_global * coarse
        to_fine, to_coarse = self.local_reads_global(fine, coarse), self.global_reads_local(coarse, fine)
        if self.residual_cross_attention:
            to_fine, to_coarse = fine + to_fine, coarse + to_coarse
        fine = (keep_local * to_fine).transpose(1, 2).unflatten(-1, size)
        coarse = resize_bilinear((keep_global * to_coarse).transpose(1, 2).unflatten(-1, coarse_size), (size[0], size[1]))
        maps = maps + self.merge(torch.cat((fine, coarse), dim=1))
        return maps + self.perceptron(maps)


def _thin_out(maps: Tensor, coarseness: int) -> Tensor:
    """Keep one place in ``coarseness`` along each axis (nearest neighbour), but at least two where there are two."""
    for axis in (2, 3):
        extent = maps.shape[axis]
        n_kept = max(min(2, extent), extent // coarseness)
        step = min(coarseness, extent // n_kept)
        maps = maps.index_select(axis, torch.arange(n_kept, device=maps.device) * step)
    return maps
