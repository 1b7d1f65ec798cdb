"""A fit that was stopped and taken up again ends with the same weights, bit for bit, as one that never stopped."""

import pytest
import torch

from dina.checks import DataError
from dina.training import state
from dina.training.batches import RecordingPairs
from dina.training.fit import FitSettings, fit_towers
from dina.training.presets import RecordingShape, build_towers
from dina.training.presets.scratch import ScratchSettings
from dina.training.state import OptimiserSettings

SETTINGS = FitSettings(
    n_epochs=6,
    batch_size=20,
    image=OptimiserSettings(learning_rate=3e-3),
    neural=OptimiserSettings(name="rmsprop", learning_rate=3e-3, weight_decay=0.0),
    select_by="loss",
    halve_after=1,
)


def new_towers(pairs):
    settings = ScratchSettings(pathway_width=8, rank=16, map_channels=4)
    return build_towers("scratch", settings, RecordingShape.of(pairs), 0)


def fit(pairs, folder, n_epochs=6, settings=SETTINGS):
    towers = new_towers(pairs[0])
    history = fit_towers(
        [towers], [RecordingPairs(*pairs)], settings.model_copy(update={"n_epochs": n_epochs}), seed=0, folder=folder
    )
    return {name: tensor.clone() for name, tensor in towers.state_dict().items()}, history


@pytest.fixture
def pairs(make_toy_pairs):
    return make_toy_pairs(n_train=60, n_validation=20, n_neurons=30)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("n_before", [1, 4])
def test_resuming_equals_never_having_stopped(pairs, tmp_path, n_before, precision):
    settings = SETTINGS.model_copy(update={"precision": precision})
    expected, whole = fit(pairs, tmp_path / "whole", settings=settings)
    fit(pairs, tmp_path / "broken", n_epochs=n_before, settings=settings)
    resumed, history = fit(pairs, tmp_path / "broken", settings=settings)
    assert all(torch.equal(resumed[name], expected[name]) for name in expected)
    assert history == whole
    last = "checkpoint_000006.safetensors"
    # optimisers, learning rates and best weights too
    assert (tmp_path / "whole" / last).read_bytes() == (tmp_path / "broken" / last).read_bytes()


@pytest.mark.parametrize("forgotten", ["optimiser", "learning_rates", "plateau", "rows"])
def test_forgetting_any_part_of_the_state_would_be_noticed(pairs, tmp_path, monkeypatch, forgotten):
    fit(pairs, tmp_path / "whole")
    fit(pairs, tmp_path / "broken", n_epochs=4)
    read = state.read_weights

    def forget(path):
        tensors, content = read(path)
        if forgotten == "optimiser":
            tensors = {name: t for name, t in tensors.items() if not name.startswith("optimiser.image")}
        elif forgotten == "learning_rates":
            content["learning_rates"]["image"] *= 2
        elif forgotten == "plateau":
            content["plateau"] = {"lowest": 0.0, "n_waited": 1}
        else:  # the number of the epoch, on which order, mixtures and dropout depend
            content["rows"] = [*content["rows"][:-1], {**content["rows"][-1], "epoch": 3}]
            content["best_epoch"] = content["rows"][-1]["epoch"]
        return tensors, content

    monkeypatch.setattr(state, "read_weights", forget)
    fit(pairs, tmp_path / "broken")
    last = "checkpoint_000006.safetensors"
    assert (tmp_path / "whole" / last).read_bytes() != (tmp_path / "broken" / last).read_bytes()


def test_two_checkpoints_are_kept_and_a_damaged_one_falls_back_to_the_other(pairs, tmp_path):
    expected, _ = fit(pairs, tmp_path / "whole")
    fit(pairs, tmp_path / "broken", n_epochs=4)
    names = sorted(path.name for path in (tmp_path / "broken").iterdir())
    assert names == ["checkpoint_000003.safetensors", "checkpoint_000004.safetensors"]

    damaged = bytearray((tmp_path / "broken" / names[1]).read_bytes())
    damaged[-100] ^= 1
    (tmp_path / "broken" / names[1]).write_bytes(damaged)

    resumed, _ = fit(pairs, tmp_path / "broken")
    assert all(torch.equal(resumed[name], expected[name]) for name in expected)


def test_checkpoints_of_another_fit_are_refused(pairs, make_toy_pairs, tmp_path):
    fit(pairs, tmp_path, n_epochs=1)
    with pytest.raises(DataError, match=r"checkpoints of another fit \(different: settings\)"):
        fit(pairs, tmp_path, settings=SETTINGS.model_copy(update={"batch_size": 30}))
    other = make_toy_pairs(n_train=60, n_validation=20, n_neurons=30, seed=5)
    with pytest.raises(DataError, match=r"checkpoints of another fit \(different: data"):
        fit(other, tmp_path)
