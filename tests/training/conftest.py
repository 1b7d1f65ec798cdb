"""A toy recording: smooth random images and neurons that respond linearly to them, twice."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from dina.data.pairs import Pairs
from dina.data.standardise import Standardiser
from dina.randomness import generator_for


@pytest.fixture
def make_toy_pairs():
    def make(n_train=240, n_validation=60, n_neurons=60, size=(24, 32), n_repeats=2, seed=0, is_shuffled=False):
        random = generator_for(seed, "toy")
        n_images = n_train + n_validation
        images = gaussian_filter(random.standard_normal((n_images, 1, *size)), (0, 0, 2, 2)).astype(np.float32)
        images /= images.std()
        fields = gaussian_filter(random.standard_normal((n_neurons, *size)), (0, 3, 3)).reshape(n_neurons, -1)
        signal = images.reshape(n_images, -1) @ fields.T
        signal /= signal.std(0)
        stimulus = np.tile(np.arange(n_images), n_repeats)
        responses = (signal[stimulus] + random.standard_normal((len(stimulus), n_neurons))).astype(np.float32)
        if is_shuffled:  # repeats stay together, images do not belong to them
            images = images[random.permutation(n_images)]
        standardiser = Standardiser.learn(responses[stimulus < n_train])

        def part(first, last):
            keep = (stimulus >= first) & (stimulus < last)
            return Pairs(
                images=images[first:last],
                stimulus_id=np.arange(first, last),
                responses=standardiser.apply(responses[keep]),
                stimulus_index=stimulus[keep] - first,
                n_presentations=np.ones(int(keep.sum()), dtype=np.int64),
                standardiser=standardiser,
            )

        return part(0, n_train), part(n_train, n_images)

    return make


@pytest.fixture
def double_precision(monkeypatch):
    """Whatever dina computes in single precision is computed in double precision, so that nothing but an error is left."""
    from_numpy = torch.from_numpy

    def from_numpy_in_double(array):
        tensor = from_numpy(array)
        return tensor.double() if tensor.is_floating_point() else tensor

    monkeypatch.setattr(torch, "from_numpy", from_numpy_in_double)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
