"""A fit in two processes: gradients and numbers of one process; a process that is lost ends the other in a sentence."""

import os
import signal
import socket
import sys
import traceback
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from dina.checks import DataError
from dina.cli.process import explain
from dina.models.towers.neural import paper_neuron_attention
from dina.models.towers.tower import ImageTower
from dina.processes import LOST, ProcessLost, joined_processes, process_number
from dina.training import fit as training_fit
from dina.training.batches import RecordingPairs
from dina.training.fit import FitSettings, fit_towers
from dina.training.objectives import OBJECTIVES
from dina.training.objectives.contrastive import Contrastive
from dina.training.presets import RecordingShape, Scratch, build_towers, changed_settings, find_preset
from dina.training.presets.scratch import ScratchSettings
from forked import ends_of_copies

SMALL = {
    "scratch": {"pathway_width": 8, "rank": 16, "map_channels": 4},
    "paper": {"map_height": 4, "map_width": 4, "readout_widths": (16,)},
    "attention": {"map_height": 4, "map_width": 4, "readout_widths": (16,), "map_channels": 2},
}
ROWS = [*((name, "contrastive") for name in SMALL), *(("scratch", name) for name in OBJECTIVES if name != "contrastive")]
"""Every preset that is trained, and every objective."""
TOLERANCE = 1e-9
"""Of a gradient, relative to its length, in double precision."""
ROUNDING = 1e-6
"""Of numbers of a fit in single precision."""
ONE_UPDATE = FitSettings(n_epochs=1, batch_size=11)
FEW_EPOCHS = FitSettings(n_epochs=3, batch_size=6, select_by="loss")


class KilledInTheMiddle(Contrastive):
    """The second process kills itself in the second update."""

    def forward(self, batch):
        if self.training and process_number() == 1:
            self.n_done = getattr(self, "n_done", 0) + 1
            if self.n_done > 1:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(batch)


@pytest.fixture
def recording(make_toy_pairs):
    """Pairs with labels and features, a number of images that two processes cannot divide evenly."""
    parts = make_toy_pairs(n_train=11, n_validation=5, n_neurons=12)
    tilt = np.concatenate([part.images for part in parts])[:, 0, :, 16:].mean((1, 2))
    labels = np.where(tilt > 0, "right", "left")
    train, validation = (replace(part, labels=labels[part.stimulus_id]) for part in parts)
    return RecordingPairs(train, validation, image_features=np.stack([tilt, tilt**2], axis=1))


def fit(recording, preset, settings, folder=None, objective=None):
    given = changed_settings(preset, SMALL[preset])
    towers = build_towers(preset, given, RecordingShape.of(recording.train), 0)
    find_preset(preset).start([towers], given, [recording])
    return towers, fit_towers([towers], [recording], settings, 0, folder=folder, objective=objective)


def first_update(recording, preset, objective):
    """Return the gradients of the first update, which is not made, and of how many images and neurons this process took care."""
    gradients, images, neurons = [], [], []

    def keep(optimiser, closure=None):
        weights = [weight for group in optimiser.param_groups for weight in group["params"] if weight.grad is not None]
        gradients.extend([torch.cat([weight.grad.flatten() for weight in weights])] if weights else [])

    def count_neurons(own, responses):
        neurons.append(own.shape[1])
        return blocks(own, responses)

    def count_images(tower, given):
        if tower.training:
            images.append(len(given[0]))

    blocks = paper_neuron_attention._blocks
    with pytest.MonkeyPatch.context() as patch:
        for kind in (torch.optim.AdamW, torch.optim.RMSprop):
            patch.setattr(kind, "step", keep)
        patch.setattr(paper_neuron_attention, "_blocks", count_neurons)
        counting = register_module_forward_pre_hook(
            lambda tower, given: count_images(tower, given) if isinstance(tower, ImageTower) else None
        )
        fit(recording, preset, ONE_UPDATE.model_copy(update={"objective": objective}))
        counting.remove()
    return gradients, set(images), set(neurons)


def in_two_processes(action, tmp_path):
    """Return exit codes and words of two processes, of which the first carries out an action."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "GLOO_SOCKET_IFNAME": "lo"}

    def take_part(number):
        os.environ.update(place, TORCHELASTIC_RUN_ID="test", RANK=str(number), LOCAL_RANK=str(number))
        try:
            with joined_processes():
                action()
        except SystemExit as end:
            return end.code
        except Exception as error:
            sys.stderr.write(str(error) if isinstance(error, ProcessLost) else traceback.format_exc())
            return 1
        return 0

    said = [tmp_path / "first", tmp_path / "second"]
    ends = ends_of_copies([partial(take_part, number) for number in range(2)], said)
    return ends, [each.read_text() for each in said]


def test_gradients_are_those_of_one_process_for_every_preset_and_objective(recording, tmp_path, double_precision):
    def lead():
        torch.save([first_update(recording, *row) for row in ROWS], tmp_path / "found")

    ends, said = in_two_processes(lead, tmp_path)
    assert ends == [0, 0], said
    found = torch.load(tmp_path / "found", weights_only=False)
    for row, (ours, images, neurons) in zip(ROWS, found, strict=True):
        expected, all_images, all_neurons = first_update(recording, *row)
        for one, other in zip(ours, expected, strict=True):
            assert float((one - other).norm() / other.norm()) < TOLERANCE, row
        # and each process took care of a part
        assert (images, all_images) == ({5}, {11})
        assert (neurons, all_neurons) == ((set(), set()) if row[0] == "scratch" else ({6}, {12}))


def test_numbers_are_those_of_one_process_and_the_first_alone_keeps_checkpoints(recording, tmp_path):
    def lead():
        towers, history = fit(recording, "scratch", FEW_EPOCHS, tmp_path / "two")
        with pytest.raises(DataError, match="checkpoints of another fit"):  # and the other process does not end of it
            fit(recording, "attention", FEW_EPOCHS, tmp_path / "two")
        torch.save((towers.state_dict(), history.to_frame()), tmp_path / "found")

    ends, said = in_two_processes(lead, tmp_path)
    assert ends == [0, 0], said
    weights, rows = torch.load(tmp_path / "found", weights_only=False)
    towers, history = fit(recording, "scratch", FEW_EPOCHS, tmp_path / "one")
    for name, tensor in towers.state_dict().items():
        torch.testing.assert_close(weights[name], tensor, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(rows, history.to_frame(), atol=ROUNDING)
    # a fit goes on in another number of processes; with nothing left to do its weights are those that were kept
    again, _ = fit(recording, "scratch", FEW_EPOCHS, tmp_path / "two")
    assert all(torch.equal(tensor, weights[name]) for name, tensor in again.state_dict().items())


def test_a_killed_process_ends_the_other_in_a_sentence(recording, tmp_path, capsys):
    lead = partial(fit, recording, "scratch", FEW_EPOCHS, objective=KilledInTheMiddle)
    ends, said = in_two_processes(lead, tmp_path)
    assert ends == [1, -signal.SIGKILL]
    assert said[0] == LOST
    assert explain(ProcessLost(said[0]), debug=False) == 1
    assert capsys.readouterr().err == f"dina: {LOST}\n"


@pytest.mark.parametrize(
    ("n", "preset", "words"), [(6, "scratch", "there are 5 for 6"), (2, "own", "image_tower.norm is torch.nn")]
)
def test_what_processes_cannot_divide_is_refused(recording, monkeypatch, n, preset, words):
    class Own(ImageTower):
        def __init__(self, shape):
            super().__init__(shape, (1, *shape[1:]), ())
            self.norm = torch.nn.BatchNorm2d(1)

        def forward(self, images, masked=()):
            return self.norm(images)

    monkeypatch.setattr(training_fit, "n_processes", lambda: n)
    given = ScratchSettings(**SMALL["scratch"])
    kind = Scratch(image_tower=Own) if preset == "own" else preset
    towers = build_towers(kind, given, RecordingShape.of(recording.train), 0)
    with pytest.raises(DataError, match=words):
        fit_towers([towers], [recording], ONE_UPDATE, 0)
