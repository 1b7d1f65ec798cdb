"""How much a population can tell about each place of the image, whatever is shown there."""

import numpy as np
import torch
from jaxtyping import Float

from dina.analyses.comparable_maps import channel_names
from dina.analyses.decoded import Decoded
from dina.analyses.separable_fields import SeparableFields
from dina.models.receptive_fields import estimate_centres
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.randomness import generator_for
from dina.training.response_weights import reliability_weights

N_IMAGES = 500
SMOOTHING = 1.0  # places, as in the estimate of centres

Coverage = Float[np.ndarray, "map_height map_width"]


def estimate_coverage(decoded: Decoded) -> tuple[Coverage, str]:
    r"""Return what the neurons carry about each place of the map, and in words how it was found.

    Parameters
    ----------
    decoded
        Its towers and its training images; nothing else is read.

    Returns
    -------
    coverage
        Not negative, any unit, shape ``(map_height, map_width)``.
    words
        What it is.

    Notes
    -----
    For projective fields it is the Fisher information that a response has about the channels at a place,
    :math:`\sum_c w_c^\top \Sigma^{-1} w_c`, with :math:`w_c` how much channel :math:`c` there drives each neuron: strong
    and reliable neurons count more, and neurons that share their noise count less. For other towers it is the density
    of the centres estimated from training images, each neuron weighted by its signal-to-noise ratio.
    """
    neural, image = decoded.towers.neural_tower, decoded.towers.image_tower
    if isinstance(neural, ProjectiveFields):
        gain = image.gain if isinstance(image, GaborEnergy) else torch.ones(len(channel_names(image)))
        return _information(neural, gain), "Fisher information of the response about the channels at each place"
    chosen = np.sort(generator_for(decoded.seed, "images of coverage").permutation(decoded.train.n_stimuli)[:N_IMAGES])
    maps = torch.from_numpy(decoded.towers.encode_images(decoded.train.images[chosen]))
    centre = estimate_centres(maps, torch.from_numpy(decoded.train.averaged()[chosen])).numpy()
    weight = reliability_weights(decoded.train).astype(np.float64) ** 2
    down, across = (
        np.exp(-0.5 * ((np.arange(extent)[:, None] - centre[:, axis]) / SMOOTHING) ** 2)
        for axis, extent in enumerate(maps.shape[2:])
    )
    return (down * weight) @ across.T, "density of estimated field centres, weighted by signal-to-noise ratio"


@torch.no_grad()
def _information(tower: ProjectiveFields, channel_gain: torch.Tensor) -> Coverage:
    """Return the Fisher information at each place, summed over the channels that carry structure, each in its own unit."""
    fields = SeparableFields(tower)
    n_channels, height, width = len(channel_gain), *tower.map_shape[1:]
    weighted = tower.loadings / tower.private[:, None]
    inner = torch.eye(weighted.shape[1], device=weighted.device) + tower.loadings.T @ weighted
    factor = torch.linalg.cholesky(inner)
    neuron_gain = tower.log_gain.exp()
    single = torch.diag(channel_gain)[:, :, None, None]  # as many maps as channels, each with one channel at one place
    result = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            drive = fields.predict(single, slice(0, n_channels), (row, column))
            reached = torch.where(drive.abs().amax(0) > 0)[0]
            if not len(reached):
                continue
            drive = drive[:, reached]
            gained = drive * neuron_gain[reached]
            shared = [part @ weighted[reached] for part in (gained, drive)]
            alone = (gained * drive / tower.private[reached]).sum()
            result[row, column] = float(alone - (shared[0].T * torch.cholesky_solve(shared[1].T, factor)).sum())
    return result.clip(0)
