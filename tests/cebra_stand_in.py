"""A stand-in for the Python environment that has CEBRA: the same calls, a linear map instead of a network."""

import sys
from pathlib import Path

CEBRA = '''
import numpy as np

class CEBRA:
    """Ridge regression to the auxiliary variable; takes the settings that the worker gives, and no others."""

    def __init__(self, *, model_architecture, batch_size, learning_rate, temperature, output_dimension, max_iterations,
                 num_hidden_units, conditional, delta, distance, device, verbose):
        assert model_architecture == "offset1-model" and conditional == "delta" and device == "cpu"
        self.output_dimension = output_dimension

    def fit(self, X, y):
        self.mean = X.mean(0)
        centred = X - self.mean
        gram = centred.T @ centred
        self.weights = np.linalg.solve(gram + 0.1 * np.trace(gram) / len(gram) * np.eye(len(gram)), centred.T @ y)
        self.weights = self.weights[:, : self.output_dimension]
        return self

    def transform(self, X):
        return (X - self.mean) @ self.weights

    def save(self, path):
        with open(path, "wb") as file:
            np.savez(file, mean=self.mean, weights=self.weights)

    @classmethod
    def load(cls, path):
        model = cls.__new__(cls)
        with np.load(path) as stored:
            model.mean, model.weights = stored["mean"], stored["weights"]
        return model
'''

TORCH = """
class _Generator:
    def manual_seed(self, seed):
        assert isinstance(seed, int)

default_generator = _Generator()
"""


def write_stand_in(folder: Path, cebra: str = CEBRA) -> str:
    """Write an interpreter that finds the stand-ins, and return its path."""
    (folder / "cebra.py").write_text(cebra, encoding="utf-8")
    (folder / "torch.py").write_text(TORCH, encoding="utf-8")
    interpreter = folder / "python"
    interpreter.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}" exec "{sys.executable}" "$@"\n', encoding="utf-8")
    interpreter.chmod(0o755)
    return str(interpreter)
