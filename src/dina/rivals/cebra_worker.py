"""Runs in the interpreter that has CEBRA: train on responses and image features, or map responses.

Run as ``python worker.py fit FOLDER`` or ``python worker.py map FOLDER``. It imports nothing of dina and speaks through
files in FOLDER: settings in ``settings.json``, arrays in ``.npy`` files, and CEBRA's own file of the trained model.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def fit(folder: Path, settings: dict[str, Any]) -> None:
    """Train CEBRA on single trials, supervised by features of their images, and keep the model."""
    torch = importlib.import_module("torch")
    cebra = importlib.import_module("cebra")
    # CEBRA draws from torch's global generator; this process has nothing else in it
    torch.default_generator.manual_seed(settings["seed"])
    model = cebra.CEBRA(
        model_architecture="offset1-model",
        batch_size=settings["batch_size"],
        learning_rate=settings["learning_rate"],
        temperature=settings["temperature"],
        output_dimension=settings["output_dimension"],
        max_iterations=settings["max_iterations"],
        num_hidden_units=settings["num_hidden_units"],
        conditional="delta",
        delta=settings["delta"],
        distance="cosine",
        device="cpu",
        verbose=False,
    )
    model.fit(np.load(folder / "responses.npy"), np.load(folder / "features.npy"))
    model.save(str(folder / "model.pt"))


def map_responses(folder: Path) -> None:
    """Map responses by the model that `fit` kept."""
    cebra = importlib.import_module("cebra")
    model = cebra.CEBRA.load(str(folder / "model.pt"))
    mapped = model.transform(np.load(folder / "asked.npy"))
    np.save(folder / "mapped.npy", np.asarray(mapped, dtype=np.float32))


def main() -> None:
    """Do what the command line says."""
    folder = Path(sys.argv[2])
    if sys.argv[1] == "fit":
        fit(folder, json.loads((folder / "settings.json").read_text(encoding="utf-8")))
    map_responses(folder)


if __name__ == "__main__":
    main()
