"""Small folders of activity over time with a table of presentations and pictures, in the schemas of Suite2p and of Phy."""

from pathlib import Path

import numpy as np
from PIL import Image

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (6, 8, 9)).astype(np.uint8)
SHOWN = [0, 1, 2, 3, 4, 5] * 3
ONSET_S = 1 + 0.5 * np.arange(18)
SPEED = RANDOM.random(18)


def write_presentations(folder: Path, column: str = "onset_s", onsets: np.ndarray = ONSET_S) -> Path:
    """Write presentations.csv, a grey screen in its last row, and the pictures."""
    (folder / "images").mkdir(parents=True)
    for number, image in enumerate(IMAGES):
        Image.fromarray(image).save(folder / "images" / f"cat{number}.png")
    rows = [f"{onset},cat{image}.png,{speed}" for onset, image, speed in zip(onsets, SHOWN, SPEED)]
    text = "\n".join([f"{column},image,running_speed", *rows, f"{onsets[-1] + onsets[0]},,"])
    (folder / "presentations.csv").write_text(text, encoding="utf-8")
    return folder


def write_plane(folder: Path, n_regions: int = 6, n_times: int = 330, seed: int = 1) -> dict[str, np.ndarray]:
    """Write what Suite2p writes for a plane, its two pickled files included; return the arrays."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        "F": (200 + 50 * random.random((n_regions, n_times))).astype(np.float32),
        "Fneu": (100 + 20 * random.random((n_regions, n_times))).astype(np.float32),
        "spks": random.random((n_regions, n_times)).astype(np.float32),
        "iscell": np.c_[np.arange(n_regions) % 3 != 0, random.random(n_regions)],
        "redcell": np.c_[np.arange(n_regions) == 1, random.random(n_regions)],
    }
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    np.save(folder / "ops.npy", np.array({"fs": 30.0}, dtype=object), allow_pickle=True)
    np.save(folder / "stat.npy", np.array([{"med": (1, 2)}] * n_regions, dtype=object), allow_pickle=True)
    return arrays


def write_spikes(folder: Path, rate_hz: float | None = None) -> dict[int, np.ndarray]:
    """Write what Phy saves: neurons 2, 5, 6 and 9, of which 6 is noise; return the times of each in seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    spikes = {neuron: np.sort(np.random.default_rng(neuron).uniform(0, 12, 300)) for neuron in (2, 5, 6, 9)}
    if rate_hz is not None:
        spikes = {neuron: np.round(times * rate_hz) / rate_hz for neuron, times in spikes.items()}
    times = np.concatenate(list(spikes.values()))
    neuron = np.repeat(list(spikes), 300)
    order = np.argsort(times, kind="stable")
    stored = times[order, None] if rate_hz is None else np.round(times[order, None] * rate_hz).astype(np.uint64)
    np.save(folder / "spike_times.npy", stored)
    np.save(folder / "spike_clusters.npy", neuron[order].astype(np.int32))
    (folder / "cluster_group.tsv").write_text("cluster_id\tgroup\n2\tgood\n5\tmua\n6\tnoise\n", encoding="utf-8")
    return spikes
