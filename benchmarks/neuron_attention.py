"""Time the exact fast neuron attention against the same layer written with tokens, side by side in one run.

Run ``python benchmarks/neuron_attention.py --neurons 2000 --batch 32``. Both compute the same function with the same
weights, forward and backward, in single precision; the token version is vectorised over batch and neurons (the
released code, with one layer object per neuron, is far slower still). The two take turns, so that a busy machine
slows both; the ratio of processor times is the figure to quote.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable

import torch

from dina.models.towers.neural.paper_neuron_attention import NeuronAttention, attend
from dina.models.towers.tower import initialise


def attend_with_tokens(tower: NeuronAttention, responses: torch.Tensor) -> torch.Tensor:
    own = tower.tokens
    token = responses[:, :, None] * own.weight + own.bias
    query, key, value = tower.query(token), tower.key(token), tower.value(token)
    weight = torch.softmax(query @ key.transpose(1, 2) / math.sqrt(token.shape[-1]), dim=-1)
    return (own.read_out * tower.output(weight @ value)).sum(-1) + own.read_bias


def attend_fast(tower: NeuronAttention, responses: torch.Tensor) -> torch.Tensor:
    return attend(responses, tower.factors()) + tower.tokens.read_bias + tower.tokens.read_out @ tower.output.bias


def time_once(step: Callable[[], torch.Tensor], tower: NeuronAttention, device: torch.device) -> dict[str, float]:
    tower.zero_grad(set_to_none=True)
    if device.type == "cuda":
        torch.cuda.synchronize()
    wall, processor = time.perf_counter(), time.process_time()
    step().square().sum().backward()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return {"wall_s": time.perf_counter() - wall, "processor_s": time.process_time() - processor}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neurons", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    device = torch.device(chosen.device)
    tower = NeuronAttention(chosen.neurons)
    initialise(tower, torch.Generator().manual_seed(0))
    tower.to(device)
    responses = torch.rand(chosen.batch, chosen.neurons, generator=torch.Generator().manual_seed(1)).to(device)

    steps = {"tokens": lambda: attend_with_tokens(tower, responses), "fast": lambda: attend_fast(tower, responses)}
    with torch.no_grad():
        difference = float((steps["tokens"]() - steps["fast"]()).abs().max())
    times: dict[str, list[dict[str, float]]] = {name: [] for name in steps}
    for repeat in range(chosen.repeats + 1):
        for name, step in steps.items():
            measured = time_once(step, tower, device)
            if repeat:  # the first round warms up
                times[name].append(measured)
    medians = {
        name: {key: statistics.median(row[key] for row in rows) for key in ("wall_s", "processor_s")}
        for name, rows in times.items()
    }
    ratios = {key: medians["tokens"][key] / medians["fast"][key] for key in ("wall_s", "processor_s")}
    print(f"{'':8}{'wall s':>10}{'processor s':>14}   (median of {chosen.repeats}, forward + backward)")
    for name, row in medians.items():
        print(f"{name:8}{row['wall_s']:10.3f}{row['processor_s']:14.3f}")
    print(f"{'ratio':8}{ratios['wall_s']:10.2f}{ratios['processor_s']:14.2f}   largest difference {difference:.1e}")
    print(json.dumps({**vars(chosen), "torch": torch.__version__, "medians": medians, "ratio": ratios, "difference": difference}))


if __name__ == "__main__":
    main()
