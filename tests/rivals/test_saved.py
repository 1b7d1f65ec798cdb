"""Saved baselines: what is no saved baseline is refused in one sentence, and a file can name no other class."""

import numpy as np
import pytest
import torch
from torch import nn

from dina.checks import DataError
from dina.rivals.ridge import Ridge
from dina.rivals.saved import load_baseline, save_baseline
from dina.weights import read_weights, write_weights


def test_values_arrays_and_nested_parts_come_back_as_they_were(tmp_path):
    decoder = Ridge(3)
    layer = nn.Sequential(nn.Conv2d(1, 2, 3))
    parts = {
        "loss": float("nan"),
        "kept": (1, "two", None),
        "array": np.arange(6).reshape(2, 3).T,
        "bytes": b"ab",
        "layer": layer,
    }
    vars(decoder).update(parts)
    save_baseline(decoder, tmp_path / "ridge.safetensors")

    found = vars(load_baseline(tmp_path / "ridge.safetensors"))

    assert np.isnan(found["loss"])
    assert found["kept"] == (1, "two", None)
    assert found["bytes"] == b"ab"
    np.testing.assert_array_equal(found["array"], parts["array"], strict=True)
    torch.testing.assert_close(found["layer"](torch.ones(1, 1, 4, 4)), layer(torch.ones(1, 1, 4, 4)))
    assert [type(parameter) for parameter in found["layer"].parameters()] == [nn.Parameter] * 2


def test_parts_from_elsewhere_are_not_saved(tmp_path):
    decoder = Ridge(3)
    vars(decoder)["foreign"] = nn.Linear(2, 2)

    with pytest.raises(TypeError, match="must come from the modules named"):
        save_baseline(decoder, tmp_path / "ridge.safetensors")
    assert not (tmp_path / "ridge.safetensors").exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("dina.rivals.ridge", "np"), ("dina.rivals.ridge", "_probe"), ("dina.rivals.ridge", "absent")],
)
def test_a_file_can_name_no_class_but_those_of_baselines(tmp_path, module, name):
    path = tmp_path / "ridge.safetensors"
    save_baseline(Ridge(3), path)
    tensors, content = read_weights(path)
    write_weights(path, tensors, content | {"parts": {"kind": "object", "module": module, "class": name, "own": {}}})

    with pytest.raises(DataError, match="must hold a baseline that this version of dina knows"):
        load_baseline(path)


def test_weights_of_something_else_are_refused(tmp_path):
    path = tmp_path / "towers.safetensors"
    write_weights(path, {"weight": torch.zeros(3)}, {"preset": "default"})

    with pytest.raises(DataError, match=r"AlignedTowers\.load"):
        load_baseline(path)
