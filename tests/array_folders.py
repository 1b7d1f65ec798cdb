"""A small folder of arrays as a laboratory would bring it, written from arguments so that each part can be broken."""

from pathlib import Path

import numpy as np

N_IMAGES, N_NEURONS = 6, 5


def example_images(n: int = N_IMAGES) -> np.ndarray:
    """8-bit images (n, 8, 9), all different."""
    return np.random.default_rng(0).integers(0, 256, (n, 8, 9)).astype(np.uint8)


def example_responses(n_trials: int = 2 * N_IMAGES) -> np.ndarray:
    """Responses (n_trials, 5) that vary."""
    return np.random.default_rng(1).random((n_trials, N_NEURONS))


def write_folder(folder: Path, arrays: dict[str, np.ndarray | None] | None = None, files: dict[str, str] | None = None) -> Path:
    """Write images, responses and ids, with ``arrays`` in place of the usual ones (None: leave out) and text ``files``."""
    folder.mkdir(parents=True, exist_ok=True)
    usual = {
        "images": example_images(),
        "responses": example_responses(),
        "stimulus_id": np.tile(np.arange(N_IMAGES), 2),
    }
    for name, array in {**usual, **(arrays or {})}.items():
        if array is not None:
            np.save(folder / f"{name}.npy", array)
    for name, text in (files or {}).items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder
