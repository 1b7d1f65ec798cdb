"""A simulated session from a name and a seed: images, neurons, trials, and the truth about all of them."""

import hashlib
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Float32
from pydantic import ValidationError

from dina.checks import DataError, check_choice
from dina.randomness import generator_for, seed_for
from dina.recordings.recording import Recording
from dina.recordings.simulator.neurons import GaborSubunits, NetworkSubunits, Population, Sources, draw_population
from dina.recordings.simulator.painted_images import (
    CONTRAST_SCALE,
    MID_GREY,
    SimulatedImages,
    derive_images,
    paint_images,
    to_contrast,
    to_pixels,
)
from dina.recordings.simulator.responses import NoiseModel, ResponseModel, make_noise
from dina.recordings.simulator.session_settings import NAMED_SESSIONS, Condition, SyntheticSettings
from dina.recordings.truth import Truth

CHUNK = 400  # trials drawn together
FIELD_MARGIN_DEG = 12.0  # kept around the field centres by the condition "small"
N_REFERENCE_NEURONS = 300  # of the population whose reverse correlation gives 8D and 4D


def simulate(
    session: str = "demo",
    seed: int = 0,
    *,
    settings: SyntheticSettings | Mapping[str, object] | None = None,
    condition: Condition | None = None,
    mouse: int = 0,
) -> Recording:
    """Simulate a recording of mouse V1 whose every truth is known.

    With the same seed and settings, different conditions show the same neurons the same image identities; only the
    pixels and the trials differ.

    Parameters
    ----------
    session
        "demo" (small), "benchmark" (2,000 neurons, 2,800 images, two repeats) or "full" (10,000 neurons).
    seed
        Same seed, same bytes (with the same number of threads and versions).
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
    population = draw_population(chosen, sources.subunits.row, sources.subunits.column, generator_for(seed, "population"))
    covariance = np.cov(natural.T.astype(np.float64))
    weights = _scale_weights(population, covariance)
    noise = make_noise(chosen, population, covariance, weights, generator_for(seed, "noise"))
    pixels, shown = images.pixels, natural
    if chosen.condition != "natural":
        pixels = to_pixels(_derive(chosen, images, sources, natural, population, seed))
        shown = sources.of(to_contrast(pixels))
    potential = np.asarray((torch.from_numpy(shown) @ torch.from_numpy(weights)).numpy())
    potential += population.resting.astype(np.float32)
    model = _response_model(chosen, population, noise)
    stimulus_id, responses, spontaneous = _draw_trials(chosen, potential, noise, model, seed)
    moments = model.moments(potential)
    planted, axes = _planted(population, images, sources.subunits)
    truth = Truth(
        mean=moments.mean,
        private_variance=moments.private_variance,
        shared_gain=moments.shared_gain,
        shared_loadings=noise.shared_loadings(),
        gain_deviation=chosen.gain_deviation,
        planted=planted,
        planted_axes=axes,
    )
    name = image_set if mouse == 0 else f"{image_set}-mouse{mouse}"
    return Recording(
        name=name if chosen.condition == "natural" else f"{name}-{chosen.condition}",
        images=pixels,
        stimulus_id=stimulus_id,
        responses=responses,
        condition=chosen.condition,
        image_set=image_set,
        animal=name,
        mid_grey=MID_GREY,
        contrast_scale=CONTRAST_SCALE,
        deg_per_pixel=chosen.deg_per_pixel,
        neuron_position_um=population.position_um,
        spontaneous=spontaneous if len(spontaneous) else None,
        labels=images.labels,
        notes=("Simulated; see truth.",),
        truth=truth,
    )


def _choose(
    session: str, settings: SyntheticSettings | Mapping[str, object] | None, condition: Condition | None
) -> SyntheticSettings:
    check_choice("session", session, NAMED_SESSIONS)
    named = next(value for name, value in NAMED_SESSIONS.items() if name == session)
    whole = named if settings is None or isinstance(settings, Mapping) else settings
    changes = dict(settings) if isinstance(settings, Mapping) else {}
    if condition is not None:
        changes["condition"] = condition
    try:
        return SyntheticSettings.model_validate(whole.model_dump() | changes)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "combination"
        raise DataError(
            f"Simulation setting {place} cannot be {first['input']!r}: {first['msg']}. Correct it, or leave it out for the default."
        ) from error


def _name(session: str, settings: SyntheticSettings, seed: int) -> str:
    """Name the image set; settings other than the named session's add a checksum, so that names never lie."""
    content = settings.model_copy(update={"condition": "natural"}).model_dump_json()
    named = {str(name): value.model_dump_json() for name, value in NAMED_SESSIONS.items()}
    mark = "" if named[session] == content else "-" + hashlib.sha256(content.encode()).hexdigest()[:8]
    return f"simulated-{session}{mark}-seed{seed}"


def _scale_weights(population: Population, covariance: np.ndarray) -> Float32[np.ndarray, "source neuron"]:
    """Scale each neuron's weights so that its drive has the variance of its signal, in units of noise."""
    weights = population.weights.astype(np.float64)
    variance = np.einsum("sn,sn->n", weights, covariance @ weights)
    scale = np.sqrt(population.signal_to_noise / np.maximum(variance, 1e-12)) * (variance > 1e-12)
    return np.asarray((weights * scale).astype(np.float32))


def _response_model(settings: SyntheticSettings, population: Population, noise: NoiseModel) -> ResponseModel:
    total = noise.total_variance().astype(np.float64)
    return ResponseModel(
        exponent=settings.exponent,
        amplitude=population.amplitude,
        missed=population.missed,
        gain_deviation=settings.gain_deviation,
        shared_variance=total - noise.private_deviation.astype(np.float64) ** 2,
        noise_variance=total,
    )


def _derive(
    settings: SyntheticSettings, images: SimulatedImages, sources: Sources, natural: np.ndarray, population: Population, seed: int
) -> np.ndarray:
    """Return the images of a derived condition in units of contrast."""
    contrast = to_contrast(images.pixels)
    reference_settings = settings.model_copy(
        update={"n_neurons": N_REFERENCE_NEURONS, "semantic_fraction": 0.0, "synergistic_pairs": 0}
    )
    generator = generator_for(seed, "reference population")
    other = draw_population(reference_settings, sources.subunits.row, sources.subunits.column, generator)
    reference = natural @ _scale_weights(other, np.cov(natural.T.astype(np.float64)))
    fields = population.field_row, population.field_column, FIELD_MARGIN_DEG / settings.deg_per_pixel
    return derive_images(contrast, settings.condition, np.maximum(reference, 0), fields)


def _draw_trials(
    settings: SyntheticSettings,
    potential: Float32[np.ndarray, "stimulus neuron"],
    noise: NoiseModel,
    model: ResponseModel,
    seed: int,
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
        responses[rows] = model.respond(trial, model.draw_gain(len(trial), generator), generator)
    resting = potential.mean(0) + _noise(noise.broad_loadings, settings.n_spontaneous, generator)
    resting += generator.standard_normal(resting.shape, dtype=np.float32) * noise.private_deviation
    spontaneous = model.respond(resting, model.draw_gain(len(resting), generator), generator)
    return stimulus_id, responses, spontaneous


def _noise(loadings: np.ndarray, n_trials: int, generator: np.random.Generator) -> np.ndarray:
    factors = torch.from_numpy(generator.standard_normal((n_trials, loadings.shape[1]), dtype=np.float32))
    return np.asarray((factors @ torch.from_numpy(loadings).T).numpy())


def _planted(
    population: Population, images: SimulatedImages, subunits: GaborSubunits | NetworkSubunits
) -> tuple[dict[str, np.ndarray], dict[str, tuple[str, ...]]]:
    """Collect what was planted, by name, and its axes."""
    neuron: dict[str, Float[np.ndarray, "neuron"] | np.ndarray] = {
        "field_row": population.field_row,
        "field_column": population.field_column,
        "signal_to_noise": population.signal_to_noise,
        "is_informative": population.is_informative,
        "is_semantic": population.is_semantic,
    }
    if isinstance(subunits, GaborSubunits):
        main, has_field = population.main_subunit, population.main_subunit >= 0
        for name in ("size", "orientation", "frequency", "is_complex"):
            values = np.asarray(getattr(subunits, name), dtype=np.float64)
            neuron[f"field_{name}"] = np.where(has_field, values[main], np.nan)
    planted = neuron | {
        "category": images.category,
        "duplicate_of": images.duplicate_of,
        "synergistic_pairs": population.synergistic_pairs,
    }
    axes: dict[str, tuple[str, ...]] = {name: ("neuron",) for name in neuron}
    return planted, axes | {"category": ("stimulus",), "duplicate_of": ("stimulus",), "synergistic_pairs": ("pair", "member")}
