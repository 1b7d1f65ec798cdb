"""Contrast and regression at once: find the partner in the batch, and match its map."""

from jaxtyping import Float
from torch import Tensor

from dina.training.objectives.contrastive import symmetric_info_nce
from dina.training.objectives.head import scale_maps
from dina.training.objectives.objective import EncodedBatch, Objective


class ContrastiveRegression(Objective):
    r"""Symmetric InfoNCE, plus the squared distance of the response's map from its image's map.

    Meant for frozen image towers, whose maps are fixed targets. The distance does not train the image tower, or maps could
    shrink to one another.

    Notes
    -----
    Maps are centred and scaled to a mean square of 1, so that the distance is :math:`2 - 2r` with their correlation
    :math:`r`. Both terms have weight 1: the first is in nats, the second between 0 and 4.

    References
    ----------
    Liu et al. (2023, BrainCLIP), https://doi.org/10.48550/arXiv.2302.12971
    """

    def forward(self, batch: EncodedBatch) -> Float[Tensor, ""]:
        """Return the sum of both terms."""
        distance = (scale_maps(batch.neural_maps) - scale_maps(batch.image_maps.detach())).square().mean()
        return symmetric_info_nce(batch.scores, batch.group) + distance
