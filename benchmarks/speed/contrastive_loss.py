"""The contrastive loss of a batch with its gradients, against the loss of open_clip."""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from benchmarks.speed.contest import Line, Side, compete, exponent, missing, relative_difference
from torch import Tensor

from dina.training.objectives.contrastive import symmetric_info_nce

GOAL = 1.5
SCALE = 20.0


def measure(*, quick: bool) -> Iterator[Line]:
    """Compare loss and gradients of both sides' directions, which are given at unit length."""
    batch, n_features = (64, 32) if quick else (2800, 512)
    line = Line(f"contrastive loss, forward and backward: {batch:,} × {n_features}", "open_clip's ClipLoss", f"≥ {GOAL} ×")
    line.gflop = 6e-9 * batch**2 * n_features
    sizes = (8, 16, 32, 64) if quick else (350, 700, 1400, 2800)
    line.growth = {"batch": exponent(lambda n: _step(_ours(n), *_directions(n, n_features)), sizes)}
    responses, images = _directions(batch, n_features)
    ours = _step(_ours(batch), responses, images)
    line.note = missing("open_clip")
    if not line.note:
        theirs = _step(_open_clip(), responses, images)
        expected, gradient = theirs()
        loss, mine = ours()
        line.agreement = f"loss {abs(loss / expected - 1):.0e}, gradient {relative_difference(mine, gradient):.0e}"
        line.times = compete(Side(ours), Side(theirs), quick=quick)
        line.is_reached = line.times.ratio[0] >= GOAL
    yield line


def _directions(batch: int, n_features: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(2, batch, n_features, generator=generator)
    one, other = torch.nn.functional.normalize(raw, dim=-1)
    return one.clone().requires_grad_(), other.clone().requires_grad_()


def _ours(batch: int) -> Callable[[Tensor, Tensor], Tensor]:
    group = torch.arange(batch)
    return lambda responses, images: symmetric_info_nce(SCALE * (responses @ images.T), group)


def _open_clip() -> Callable[[Tensor, Tensor], Tensor]:
    package = importlib.util.find_spec("open_clip")
    assert package is not None
    assert package.origin is not None
    # from its file: the package around it imports torchvision, which the loss does not need
    found = importlib.util.spec_from_file_location("open_clip_loss", Path(package.origin).with_name("loss.py"))
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    loss = module.ClipLoss()
    return lambda responses, images: loss(responses, images, torch.tensor(SCALE))


def _step(loss: Callable[[Tensor, Tensor], Tensor], responses: Tensor, images: Tensor) -> Callable[[], tuple[float, Tensor]]:
    def step() -> tuple[float, Tensor]:
        responses.grad = images.grad = None
        value = loss(responses, images)
        value.backward()
        assert responses.grad is not None
        return float(value.detach()), responses.grad

    return step
