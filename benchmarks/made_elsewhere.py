"""Sessions that the package's simulator did not make: other tuning, other noise, images from other code."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch.nn.functional import conv2d

from dina.recordings.recording import Recording

N_TRAIN, N_VALIDATION, N_TEST = 450, 60, 300
HEIGHT, WIDTH = 32, 48
N_NEURONS, N_REPEATS = 150, 2
N_EDGES = 6  # half planes laid over one another in each image
KERNEL = 13  # width of a Gabor in pixels


def draw_images(n: int, generator: np.random.Generator) -> Float[np.ndarray, "image height width"]:
    """Return photograph-like images: noise of amplitude 1 / frequency, crossed by edges of random contrast; zero mean."""
    rows, columns = np.fft.fftfreq(HEIGHT), np.fft.rfftfreq(WIDTH)
    frequency = np.hypot(rows[:, None], columns)
    amplitude = 1 / np.maximum(frequency, 1 / WIDTH)
    spectrum = np.fft.rfft2(generator.standard_normal((n, HEIGHT, WIDTH))) * amplitude
    images = np.fft.irfft2(spectrum, (HEIGHT, WIDTH))
    images /= images.std((1, 2), keepdims=True)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for _ in range(N_EDGES):
        angle = generator.uniform(0, 2 * np.pi, (n, 1, 1))
        row, column = (generator.uniform(0, size, (n, 1, 1)) for size in (HEIGHT, WIDTH))
        side = (y - row) * np.cos(angle) + (x - column) * np.sin(angle) > 0
        images += side * generator.normal(0, 1.0, (n, 1, 1))
    images -= images.mean((1, 2), keepdims=True)
    return np.asarray(images / images.std((1, 2), keepdims=True) * np.exp(generator.normal(0, 0.4, (n, 1, 1))))


def project_pixels(images: np.ndarray, generator: np.random.Generator) -> Float[np.ndarray, "image neuron"]:
    """Drive neurons by random projections of all pixels: there are no local fields."""
    flat = images.reshape(len(images), -1)
    flat = flat - flat.mean(0)
    left, strength, right = np.linalg.svd(flat, full_matrices=False)
    drive = (left * strength**0.5) @ generator.standard_normal((len(right), N_NEURONS))  # else a few directions drive all neurons
    return np.asarray(drive / drive.std(0))


def filter_locally(images: np.ndarray, generator: np.random.Generator) -> Float[np.ndarray, "image neuron"]:
    """Drive each neuron by one Gabor at a random place: half rectified, half of energy type."""
    place = np.arange(KERNEL) - KERNEL // 2
    drive = np.empty((len(images), N_NEURONS))
    values = torch.from_numpy(images)[:, None]
    for neuron in range(N_NEURONS):
        angle, period, size = generator.uniform(0, np.pi), generator.uniform(4, 10), generator.uniform(1.8, 3.0)
        along = place[:, None] * np.cos(angle) + place * np.sin(angle)
        envelope = np.exp(-(place[:, None] ** 2 + place**2) / (2 * size**2))
        phase = generator.uniform(0, 2 * np.pi)
        pair = np.stack([envelope * np.cos(2 * np.pi * along / period + phase + shift) for shift in (0, np.pi / 2)])
        pair -= envelope * (pair.sum((1, 2), keepdims=True) / envelope.sum())
        row, column = generator.integers(HEIGHT - KERNEL + 1), generator.integers(WIDTH - KERNEL + 1)
        part = values[:, :, row : row + KERNEL, column : column + KERNEL]
        even, odd = conv2d(part, torch.from_numpy(pair)[:, None])[:, :, 0, 0].T.numpy()
        drive[:, neuron] = np.hypot(even, odd) if neuron % 2 else np.maximum(even, 0)
    drive = np.sqrt(drive)  # strong images do not drive without limit
    return np.asarray((drive - drive.mean(0)) / drive.std(0))


def independent(drive: np.ndarray, generator: np.random.Generator, deviation: float = 1.4) -> np.ndarray:
    """Add Gaussian noise to every trial; its deviation is in units of the signal's."""
    return np.asarray(drive + deviation * generator.standard_normal(drive.shape))


def arousal(drive: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Multiply all responses of a trial by a slow gain, log-normal with deviation 0.5, after noise that grows with the response."""
    rate = np.exp(0.7 * drive)
    slow = np.convolve(generator.standard_normal(len(drive) + 60), np.hanning(61), mode="valid")
    gain = np.exp(0.5 * slow / slow.std())[:, None]
    return np.asarray(gain * rate * generator.gamma(0.3, 1 / 0.3, drive.shape))


def heavy_tails(drive: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Add noise of Student's t with 2.2 degrees of freedom."""
    return np.asarray(drive + 2.8 * generator.standard_t(2.2, drive.shape))


def drifting(drive: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise and, to each neuron, a slow sinusoid over the session."""
    time = np.arange(len(drive))[:, None] / len(drive)
    cycles, phase = generator.uniform(1, 3, drive.shape[1]), generator.uniform(0, 2 * np.pi, drive.shape[1])
    return independent(drive, generator, 2.5) + 1.5 * np.sin(2 * np.pi * cycles * time + phase)


@dataclass(frozen=True)
class Make:
    """How a session is made."""

    words: str
    tuning: Callable[[np.ndarray, np.random.Generator], np.ndarray]  # images → drive of each neuron, mean 0, variance 1
    trials: Callable[[np.ndarray, np.random.Generator], np.ndarray]  # drive of every trial in order of time → responses


MAKES = {
    "pixels": Make("random projections of all pixels, Gaussian noise", project_pixels, independent),
    "arousal": Make("Gabor neurons, slow gain common to all, noise that grows with the response", filter_locally, arousal),
    "heavy_tails": Make("Gabor neurons, noise of Student's t with 2.2 degrees of freedom", filter_locally, heavy_tails),
    "drift": Make("Gabor neurons, Gaussian noise, a slow sinusoid in each neuron", filter_locally, drifting),
}


def make_session(name: str, seed: int) -> tuple[Recording, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return a recording and the images for training, validation and testing."""
    generator = np.random.default_rng([seed, *name.encode()])
    n = N_TRAIN + N_VALIDATION + N_TEST
    images = draw_images(n, generator)
    drive = MAKES[name].tuning(images, generator)
    stimulus_id = np.concatenate([generator.permutation(n) for _ in range(N_REPEATS)])
    responses = MAKES[name].trials(drive[stimulus_id], generator)
    pixels = np.clip(128 + 40 * images, 0, 255).astype(np.uint8)[:, None]
    recording = Recording(
        name=f"{name}-seed{seed}", images=pixels, stimulus_id=stimulus_id, responses=responses.astype(np.float32)
    )
    order = generator.permutation(n)
    parts = np.split(order, [N_TRAIN, N_TRAIN + N_VALIDATION])
    return recording, (np.sort(parts[0]), np.sort(parts[1]), np.sort(parts[2]))
