"""A simulated session from a name and a seed: images, neurons, noise, trials, and the truth about all of them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32

from dina.checks import check_choice, check_settings
from dina.randomness import generator_for, seed_for
from dina.recordings.recording import Recording
from dina.recordings.response_law import ResponseLaw
from dina.recordings.simulator.neurons import GaborSubunits, NetworkSubunits, Population, Sources, draw_population
from dina.recordings.simulator.painted_images import SimulatedImages, derive_images, paint_images, to_contrast
from dina.recordings.simulator.session_settings import NAMED_SESSIONS, Condition, SyntheticSettings
from dina.recordings.truth import Truth

CHUNK = 400  # trials drawn together
FIELD_MARGIN_DEG = 12.0  # kept around the field centres by the condition "small"
N_REFERENCE_NEURONS = 300  # of the population whose reverse correlation gives 8D and 4D
LEAST_PRIVATE = 0.05  # of a neuron's noise variance
CORRELATION_LENGTH_UM = 300.0  # of the first components of the broad noise
UNIFORM_PART = 0.5  # of the broad noise that moves all neurons the same way
PAIR_VARIANCE = 4.0  # of the noise of a synergistic pair, in units of other noise


def simulate(
    session: str = "demo",
    seed: int = 0,
    *,
    settings: SyntheticSettings | Mapping[str, object] | None = None,
    condition: Condition | None = None,
    mouse: int = 0,
) -> Recording:
    """Simulate a recording of mouse V1 whose every truth is known.

    With the same seed and settings, different conditions show the same neurons the same image identities; only the pixels and the
    trials differ.

    Parameters
    ----------
    session
        "demo" (small), "benchmark" (2,000 neurons, 2,800 images, two repeats) or "full" (10,000 neurons).
    seed
        Same seed, same images; with the same number of threads and versions the same bytes. Others round the drive of the subunits,
        a product of matrices, otherwise, and with it all responses in their last digits.
    settings
        Settings that replace the session's, or a mapping with only those to be changed.
    condition
        Stimulus set shown; by default that of the settings ("natural").
    mouse
        Another number, another animal with other neurons and trials, and the same images (those of "8D", "4D" and "small" are
        derived from neurons, and differ).

    Returns
    -------
    recording
        With ``truth``: expected responses, noise, ideal observer and everything planted.

    Raises
    ------
    DataError
        If the session or a setting is unknown, or a setting has an impossible value.

    Examples
    --------
    >>> recording = simulate("demo", settings={"n_neurons": 20, "n_stimuli": 12, "n_subunits": 8})
    >>> recording.responses.shape, recording.images.shape
    ((24, 20), (12, 1, 34, 90))
    """
    chosen = _choose(session, settings, condition)
    images = paint_images(chosen, seed)
    image_set = _name(session, chosen, seed)
    seed = seed if mouse == 0 else seed_for(seed, f"mouse {mouse}")
    sources, natural = Sources.make(chosen, images, seed)
    population = draw_population(chosen, sources.subunits, generator_for(seed, "population"))
    covariance = np.cov(natural.T.astype(np.float64))
    weights = _scale_weights(population, covariance)
    noise = _make_noise(chosen, population, covariance, weights, generator_for(seed, "noise"))
    pixels, shown = images.pixels, natural
    if chosen.condition != "natural":
        pixels = _derive(chosen, images, sources, natural, population, seed)
        shown = sources.of(to_contrast(pixels))
    potential = np.asarray((torch.from_numpy(shown) @ torch.from_numpy(weights)).numpy())
    potential += population.resting.astype(np.float32)
    law = ResponseLaw(chosen.exponent, chosen.gain_deviation, population.amplitude, population.missed, noise.private_deviation)
    stimulus_id, responses, spontaneous = _draw_trials(chosen, law, noise, potential, seed)
    loadings = noise.shared_loadings()
    mean, private_variance, shared_gain = law.moments(potential, loadings)
    planted, axes = _planted(population, images, sources.subunits)
    name = image_set if mouse == 0 else f"{image_set}-mouse{mouse}"
    return Recording(
        name=name if chosen.condition == "natural" else f"{name}-{chosen.condition}",
        images=pixels,
        stimulus_id=stimulus_id,
        responses=responses,
        condition=chosen.condition,
        image_set=image_set,
        animal=name,
        deg_per_pixel=chosen.deg_per_pixel,
        neuron_position_um=population.position_um,
        spontaneous=spontaneous if len(spontaneous) else None,
        labels=images.labels,
        notes=("Simulated: the true tuning and noise of every neuron are known.",),
        truth=Truth(mean, private_variance, shared_gain, loadings, chosen.gain_deviation, planted, axes, law),
    )


def _choose(
    session: str, settings: SyntheticSettings | Mapping[str, object] | None, condition: Condition | None
) -> SyntheticSettings:
    check_choice("session", session, NAMED_SESSIONS)
    whole, changes = (
        (NAMED_SESSIONS[session], dict(settings or {})) if settings is None or isinstance(settings, Mapping) else (settings, {})
    )
    if condition is not None:
        changes["condition"] = condition
    return check_settings(SyntheticSettings, whole.model_dump() | changes, of="the simulation")


def _name(session: str, settings: SyntheticSettings, seed: int) -> str:
    """Name the image set; settings other than the named session's add a checksum, so that names never lie."""
    named = NAMED_SESSIONS[session].model_dump_json()
    content = settings.model_copy(update={"condition": "natural"}).model_dump_json()
    mark = "" if content == named else "-" + hashlib.sha256(content.encode()).hexdigest()[:8]
    return f"simulated-{session}{mark}-seed{seed}"


def _scale_weights(population: Population, covariance: np.ndarray) -> Float32[np.ndarray, "source neuron"]:
    """Scale each neuron's weights so that its drive has the variance of its signal, in units of noise."""
    weights = population.weights.astype(np.float64)
    variance = np.einsum("sn,sn->n", weights, covariance @ weights)
    scale = np.sqrt(population.signal_to_noise / np.maximum(variance, 1e-12)) * (variance > 1e-12)
    return np.asarray((weights * scale).astype(np.float32))


def _derive(
    settings: SyntheticSettings, images: SimulatedImages, sources: Sources, natural: np.ndarray, population: Population, seed: int
) -> np.ndarray:
    """Return the pixels of a derived condition."""
    changes = {"n_neurons": N_REFERENCE_NEURONS, "semantic_fraction": 0.0, "synergistic_pairs": 0}
    generator = generator_for(seed, "reference population")
    other = draw_population(settings.model_copy(update=changes), sources.subunits, generator)
    reference = natural @ _scale_weights(other, np.cov(natural.T.astype(np.float64)))
    fields = population.field_row, population.field_column, FIELD_MARGIN_DEG / settings.deg_per_pixel
    return derive_images(images.pixels, settings.condition, np.maximum(reference, 0), fields)


def _draw_trials(
    settings: SyntheticSettings, law: ResponseLaw, noise: "_NoiseModel", potential: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return stimulus of each trial, responses, and spontaneous activity."""
    generator = generator_for(seed, f"trials {settings.condition}")
    stimulus_id = np.concatenate([generator.permutation(settings.n_stimuli) for _ in range(settings.n_repeats)])
    n_trials = len(stimulus_id)
    time = (np.sqrt(12) * ((np.arange(n_trials) + 0.5) / n_trials - 0.5)).astype(np.float32)[:, None]
    responses = np.empty((n_trials, potential.shape[1]), dtype=np.float32)
    for start in range(0, n_trials, CHUNK):
        rows = slice(start, start + CHUNK)
        trial = potential[stimulus_id[rows]]
        trial += _noise(noise.signal_loadings, len(trial), generator)
        trial += _noise(noise.broad_loadings, len(trial), generator)
        trial += time[rows] * noise.drift_loadings[:, 0]
        trial += generator.standard_normal(trial.shape, dtype=np.float32) * noise.private_deviation
        responses[rows] = law.respond(trial, generator)
    resting = potential.mean(0) + _noise(noise.broad_loadings, settings.n_spontaneous, generator)
    resting += generator.standard_normal(resting.shape, dtype=np.float32) * noise.private_deviation
    return stimulus_id, responses, law.respond(resting, generator)


def _noise(loadings: np.ndarray, n_trials: int, generator: np.random.Generator) -> np.ndarray:
    factors = torch.from_numpy(generator.standard_normal((n_trials, loadings.shape[1]), dtype=np.float32))
    return np.asarray((factors @ torch.from_numpy(loadings).T).numpy())


def _planted(
    population: Population, images: SimulatedImages, subunits: GaborSubunits | NetworkSubunits
) -> tuple[dict[str, np.ndarray], dict[str, tuple[str, ...]]]:
    """Collect what was planted, by name, and its axes."""
    names = ("field_row", "field_column", "signal_to_noise", "is_informative", "is_semantic")
    planted: dict[str, np.ndarray] = {name: getattr(population, name) for name in names}
    if isinstance(subunits, GaborSubunits):
        main, has_field = population.main_subunit, population.main_subunit >= 0
        for name in ("size", "orientation", "frequency", "is_complex"):
            values = np.asarray(getattr(subunits, name), dtype=np.float64)
            planted[f"field_{name}"] = np.where(has_field, values[main], np.nan)
    axes: dict[str, tuple[str, ...]] = dict.fromkeys(planted, ("neuron",))
    planted |= {"category": images.category, "duplicate_of": images.duplicate_of}
    planted["synergistic_pairs"] = population.synergistic_pairs
    return planted, axes | {"category": ("stimulus",), "duplicate_of": ("stimulus",), "synergistic_pairs": ("pair", "member")}


@dataclass(frozen=True, eq=False)
class _NoiseModel:
    """Noise of the potential, in units of a typical neuron's noise."""

    signal_loadings: Float32[np.ndarray, "neuron direction"]  # noise in the directions of the population signal
    # noise spread over the cortex, also present without stimulus, and that of pairs, (n_neurons, n_broad)
    broad_loadings: Float32[np.ndarray, "neuron broad"]
    drift_loadings: Float32[np.ndarray, "neuron 1"]  # change of each neuron's potential per standard deviation of time
    private_deviation: Float32[np.ndarray, "neuron"]  # of the noise that no other neuron shares

    def shared_loadings(self) -> Float32[np.ndarray, "neuron factor"]:
        """Return all shared noise; independent factors of unit variance drive the columns."""
        parts = [self.signal_loadings, self.broad_loadings]
        if self.drift_loadings.any():
            parts.append(self.drift_loadings)
        return np.ascontiguousarray(np.concatenate(parts, axis=1))


def _make_noise(
    settings: SyntheticSettings,
    population: Population,
    covariance: np.ndarray,
    weights: np.ndarray,
    generator: np.random.Generator,
) -> _NoiseModel:
    r"""Make the noise of a population whose drive is ``sources @ weights``.

    More neurons cannot average away noise in the signal's own directions (Moreno-Bote et al. 2014, Nat. Neurosci. 17:1410,
    https://doi.org/10.1038/nn.3807). For a given power it limits information most if its variance in each principal direction of
    the signal is proportional to the square root of the signal's variance there: minimise :math:`\sum_k \lambda_k/\eta_k` for
    fixed :math:`\sum_k\eta_k`.
    """
    n = settings.n_neurons
    signal = _in_signal_directions(covariance, weights)
    signal *= np.sqrt(settings.information_limit * n / max((signal**2).sum(), 1e-12))
    broad = _over_cortex(settings, population.position_um, generator)
    private = np.maximum(1 - (signal**2).sum(1) - (broad**2).sum(1), LEAST_PRIVATE)
    pairs = np.zeros((n, len(population.synergistic_pairs)), dtype=np.float32)
    for number, pair in enumerate(population.synergistic_pairs):
        pairs[pair, number] = np.sqrt(PAIR_VARIANCE)
    drift = settings.drift * generator.standard_normal((n, 1))
    return _NoiseModel(
        signal_loadings=signal.astype(np.float32),
        broad_loadings=np.concatenate([broad, pairs], axis=1).astype(np.float32),
        drift_loadings=drift.astype(np.float32),
        private_deviation=np.sqrt(private).astype(np.float32),
    )


def _in_signal_directions(covariance: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return principal directions of the signal scaled by the fourth root of its variance (unnormalised)."""
    value, vector = torch.linalg.eigh(torch.from_numpy(covariance.astype(np.float64)))
    half = vector * value.clamp_min(0).sqrt()
    # neuron x source; spread @ spread.T is the signal covariance
    spread = (half.T @ torch.from_numpy(weights.astype(np.float64))).T
    gram_value, gram_vector = torch.linalg.eigh(spread.T @ spread)
    kept = gram_value > 1e-6 * gram_value[-1].clamp_min(1e-12)
    direction = spread @ (gram_vector[:, kept] / gram_value[kept].sqrt())
    return np.asarray((direction * gram_value[kept] ** 0.25).flip(1).numpy())


def _over_cortex(settings: SyntheticSettings, position_um: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return loadings of the broad noise: variance falls as 1/rank, grain becomes finer with rank."""
    n, n_factors = len(position_um), settings.n_broad_factors
    rank = np.arange(1, n_factors + 1)
    # random plane waves over the cortex; their wavelength shortens with rank, so correlations fall with distance
    wave = generator.standard_normal((2, n_factors)) * (rank / 4) ** 0.5 / CORRELATION_LENGTH_UM
    phase = generator.uniform(0, 2 * np.pi, n_factors)
    loadings = np.cos(position_um[:, :2] @ wave + phase) + 0.7 * generator.standard_normal((n, n_factors))
    loadings *= rank**-0.5
    loadings *= np.sqrt((1 - UNIFORM_PART) / (loadings**2).sum(1, keepdims=True))
    uniform = np.sqrt(UNIFORM_PART) * np.exp(0.3 * generator.standard_normal((n, 1)) - 0.09)
    return np.asarray(np.concatenate([uniform, loadings], axis=1) * np.sqrt(settings.broad_noise))
