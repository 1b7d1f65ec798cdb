"""Neurons on the cortex: where each looks, which subunits it mixes, how it turns potential into response."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from dina.recordings.simulator.settings import SyntheticSettings
from dina.recordings.simulator.tuning_gabor import field_limits

CORTEX_UM = 1000.0  # side of the imaged square
PLANE_SPACING_UM, N_PLANES, FIRST_PLANE_UM = 35.0, 11, 70.0
RETINOTOPIC_SCATTER_DEG = 5.0
MOST_SUBUNITS = 5  # mixed by one neuron


@dataclass(frozen=True, eq=False)
class Population:
    """Everything about the neurons that does not depend on the images shown.

    Parameters
    ----------
    position_um
        On the cortex: x, y, depth, shape ``(n_neurons, 3)``.
    weights
        Of subunits (and, after them, of categories) in a neuron's drive, shape ``(n_subunits + n_categories,
        n_neurons)``.
    field_row, field_column
        Centre of the receptive field, weighted over its subunits, pixels; NaN for a neuron without one.
    main_subunit
        The subunit with the largest weight, or -1, shape ``(n_neurons,)``.
    signal_to_noise
        Ratio of signal to noise variance of the potential; 0 for an uninformative neuron.
    resting
        Mean potential in units of the noise, above threshold where positive.
    amplitude
        Response per unit of rectified potential; arbitrary units.
    missed
        Probability that a response is recorded as zero.
    is_informative, is_semantic
        Planted classes of neurons.
    synergistic_pairs
        Indices (carrier, noise monitor) of each planted pair, shape ``(n_pairs, 2)``.
    """

    position_um: Float32[np.ndarray, "neuron 3"]
    weights: Float32[np.ndarray, "source neuron"]
    field_row: Float[np.ndarray, "neuron"]
    field_column: Float[np.ndarray, "neuron"]
    main_subunit: Int[np.ndarray, "neuron"]
    signal_to_noise: Float[np.ndarray, "neuron"]
    resting: Float[np.ndarray, "neuron"]
    amplitude: Float[np.ndarray, "neuron"]
    missed: Float[np.ndarray, "neuron"]
    is_informative: Bool[np.ndarray, "neuron"]
    is_semantic: Bool[np.ndarray, "neuron"]
    synergistic_pairs: Int[np.ndarray, "pair 2"]


def draw_population(
    settings: SyntheticSettings,
    subunit_row: Float[np.ndarray, "subunit"],
    subunit_column: Float[np.ndarray, "subunit"],
    generator: np.random.Generator,
) -> Population:
    """Draw the neurons of a session.

    Cortical x runs along the screen's width and y along its height (retinotopy), with scatter. Each neuron mixes one to five
    subunits near its place on the screen: one dominant, the others with random signs.
    """
    n, n_subunits = settings.n_neurons, len(subunit_row)
    position = np.empty((n, 3), dtype=np.float32)
    position[:, :2] = generator.uniform(0, CORTEX_UM, (n, 2))
    position[:, 2] = FIRST_PLANE_UM + PLANE_SPACING_UM * generator.integers(0, N_PLANES, n)
    weights = np.zeros((n_subunits + settings.n_categories, n), dtype=np.float32)
    weights[:n_subunits] = _draw_mixtures(settings, position, subunit_row, subunit_column, generator)
    order = generator.permutation(n)
    is_informative = np.zeros(n, dtype=bool)
    is_informative[order[: max(1, round(settings.informative_fraction * n))]] = True
    is_semantic = np.zeros(n, dtype=bool)
    is_semantic[generator.permutation(n)[: round(settings.semantic_fraction * n)]] = True
    weights[:, is_semantic] = 0
    weights[n_subunits:, is_semantic] = generator.standard_normal((settings.n_categories, int(is_semantic.sum())))
    spread = 0.0 if settings.equal_signal_to_noise else settings.signal_to_noise_spread
    signal_to_noise = settings.signal_to_noise * np.exp(spread * generator.standard_normal(n))
    pairs = _draw_pairs(settings.synergistic_pairs, is_informative & ~is_semantic, generator)
    is_informative[pairs[:, 1]] = False
    signal_to_noise[~is_informative] = 0
    share = weights[:n_subunits].astype(np.float64) ** 2
    total = share.sum(0)
    has_field = is_informative & (total > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        row, column = (np.where(has_field, (place @ share) / total, np.nan) for place in (subunit_row, subunit_column))
    return Population(
        position_um=position,
        weights=weights,
        field_row=row,
        field_column=column,
        main_subunit=np.where(has_field, share.argmax(0), -1),
        signal_to_noise=signal_to_noise,
        resting=settings.threshold + 0.15 * generator.standard_normal(n),
        amplitude=np.exp(0.3 * generator.standard_normal(n)),
        missed=np.clip(settings.missed * np.exp(0.3 * generator.standard_normal(n)), 0, 0.9),
        is_informative=is_informative,
        is_semantic=is_semantic,
        synergistic_pairs=pairs,
    )


def _draw_mixtures(
    settings: SyntheticSettings,
    position: np.ndarray,
    subunit_row: np.ndarray,
    subunit_column: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """Return weights (subunit, neuron): the subunits nearest to places scattered about each field centre."""
    n = len(position)
    top, bottom, left, right = field_limits(settings)
    scatter = RETINOTOPIC_SCATTER_DEG / settings.deg_per_pixel
    row = (top + (bottom - top) * position[:, 1] / CORTEX_UM + scatter * generator.standard_normal(n)).clip(top, bottom)
    column = (left + (right - left) * position[:, 0] / CORTEX_UM + scatter * generator.standard_normal(n)).clip(left, right)
    distance = (subunit_row[:, None] - row) ** 2 + (subunit_column[:, None] - column) ** 2
    # nearness plus Gumbel noise: the largest are a draw without replacement with Gaussian probabilities
    near = -distance / (2 * (settings.field_scatter_deg / settings.deg_per_pixel) ** 2) + generator.gumbel(size=distance.shape)
    most = min(MOST_SUBUNITS, len(subunit_row))
    chosen = np.argsort(-near, axis=0, kind="stable")[:most]
    strength = 0.6 * generator.standard_normal((most, n))
    strength[0] = 1.0
    strength[np.arange(most)[:, None] >= generator.integers(1, most + 1, n)] = 0
    weights = np.zeros(distance.shape, dtype=np.float32)
    np.put_along_axis(weights, chosen, strength.astype(np.float32), axis=0)
    return weights


def _draw_pairs(n_pairs: int, is_eligible: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    eligible = generator.permutation(np.flatnonzero(is_eligible))
    n_possible = min(n_pairs, len(eligible) // 2)
    return eligible[: 2 * n_possible].reshape(-1, 2).astype(np.int64)
