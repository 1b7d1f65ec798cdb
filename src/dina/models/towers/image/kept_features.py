"""Features of a frozen network, kept in memory and on disk and found again by the pixels of their image."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from safetensors import SafetensorError
from safetensors.numpy import load, save
from torch import Tensor

LIMIT_IN_MEMORY = 2**30
LIMIT_ON_DISK = 4 * 2**30
AFTER_REMOVAL = 0.8  # of the limit
IMAGES_AT_ONCE = 32


class FeatureCache:
    """Keeps the features of the images that came first, up to a limit; all others are computed anew.

    Copies of a cache are empty, so that copies of towers stay small.
    """

    def __init__(self, limit_bytes: int = LIMIT_IN_MEMORY) -> None:
        self.limit_bytes = limit_bytes
        self._features: dict[bytes, Float32[np.ndarray, "..."]] = {}
        self._used = 0

    def __deepcopy__(self, memory: dict[int, Any]) -> "FeatureCache":
        return FeatureCache(self.limit_bytes)

    def __len__(self) -> int:
        return len(self._features)

    def clear(self) -> None:
        """Forget everything, since features would now be computed in another way."""
        self._features.clear()
        self._used = 0

    def look_up(
        self, images: Float[Tensor, "batch channel height width"], compute: Callable[[Tensor], Tensor]
    ) -> Float[Tensor, "batch ..."]:
        """Return the features of images; ``compute`` makes those that are not known yet, all at once."""
        pixels = images.detach().cpu().contiguous().numpy()
        keys = [hashlib.blake2b(image.data, digest_size=16).digest() for image in pixels]
        unknown = [row for row, key in enumerate(keys) if key not in self._features]
        fresh: dict[bytes, np.ndarray] = {}
        if unknown:
            made = compute(images[torch.tensor(unknown, device=images.device)]).float().cpu().numpy()
            for row, features in zip(unknown, made, strict=True):
                fresh[keys[row]] = features
                if keys[row] not in self._features and self._used + features.nbytes <= self.limit_bytes:
                    self._features[keys[row]] = features.copy()
                    self._used += features.nbytes
        # from numpy: tensors made while no gradients are recorded could not take part in training later
        known = [self._features[key] if key in self._features else fresh[key] for key in keys]
        return torch.from_numpy(np.stack(known)).to(images.device)


class FeatureStore:
    """Keeps the features of images in a folder, one file for each image, and finds them again by their pixels.

    The files of one network, reading, device, number of threads and version of the code lie in one folder below ``folder``: kept
    features equal computed ones, since the network always runs on as many images at once. A file appears whole or not at all,
    and holds a checksum; a damaged one is computed again. Above ``limit_bytes``, for all networks together, the files not read
    for longest are removed. A folder that cannot be written to is not used. Deleting the folder clears everything.
    """

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_ON_DISK) -> None:
        self.folder = Path(folder)
        self.limit_bytes = limit_bytes
        self._used: int | None = None

    def look_up(
        self,
        network: bytes,
        images: Float32[Tensor, "batch channel height width"],
        compute: Callable[[Tensor], Tensor],
        *,
        keeps: bool = True,
    ) -> Float[Tensor, "batch feature feature_height feature_width"]:
        """Return the features of images; ``compute`` makes those that are not there, `IMAGES_AT_ONCE` at a time.

        ``network`` is a digest of weights, reading and grid. New features are written if ``keeps``.
        """
        folder = self.folder / _place(network, images)
        pixels = images.detach().cpu().contiguous().numpy()
        paths = [folder / f"{hashlib.blake2b(image.data, digest_size=16).hexdigest()}.safetensors" for image in pixels]
        found = [_read(path) for path in paths]
        unknown = [row for row, features in enumerate(found) if features is None]
        for rows in torch.split(torch.tensor(unknown, dtype=torch.long), IMAGES_AT_ONCE) if unknown else ():
            batch = images[rows.to(images.device)]
            filled = F.pad(batch, (0, 0, 0, 0, 0, 0, 0, IMAGES_AT_ONCE - len(rows)))
            made = compute(filled)[: len(rows)].float().cpu().numpy()
            for row, features in zip(rows.tolist(), made, strict=True):
                found[row] = features
                if keeps:
                    self._write(paths[row], features)
        return torch.from_numpy(np.stack([features for features in found if features is not None])).to(images.device)

    def _write(self, path: Path, features: Float32[np.ndarray, "feature height width"]) -> None:
        content = save({"features": np.ascontiguousarray(features), "checksum": _checksum(features)})
        temporary: Path | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # not flushed to disk one by one, which would take longer than many a network: the checksum tells a file cut short
            with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as stream:
                temporary = Path(stream.name)
                stream.write(content)
            temporary.replace(path)
            self._make_room(len(content))
        except OSError:  # a full or read-only disk
            if temporary is not None:
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)

    def _make_room(self, n_bytes: int) -> None:
        self._used = sum(size for _, size, _ in self._files()) if self._used is None else self._used + n_bytes
        if self._used <= self.limit_bytes:
            return
        files = sorted(self._files())
        self._used = sum(size for _, size, _ in files)  # others may write, and remove, beside us
        for _, size, path in files:
            if self._used <= AFTER_REMOVAL * self.limit_bytes:
                break
            path.unlink(missing_ok=True)
            self._used -= size

    def _files(self) -> list[tuple[float, int, Path]]:
        files = []
        for path in self.folder.glob("*/*"):
            try:
                status = path.stat()
            except OSError:
                continue
            files.append((status.st_mtime, status.st_size, path))
        return files


def _read(path: Path) -> Float32[np.ndarray, "feature height width"] | None:
    try:
        content = load(path.read_bytes())
        os.utime(path)
    except (OSError, SafetensorError):
        return None
    features, checksum = content.get("features"), content.get("checksum")
    if features is None or checksum is None or not np.array_equal(checksum, _checksum(features)):
        return None
    return features


def _checksum(features: np.ndarray) -> np.ndarray:
    digest = hashlib.blake2b(np.ascontiguousarray(features).data, digest_size=16).digest()
    return np.frombuffer(digest, dtype=np.uint8)


def _place(network: bytes, images: Tensor) -> str:
    told = f"{tuple(images.shape[1:])} {torch.__version__} {images.device.type} {torch.get_num_threads()} {_code()}"
    return hashlib.sha256(network + told.encode()).hexdigest()[:32]


@cache
def _code() -> str:
    """Return a digest of the code that prepares images and reads networks; other code may give other features."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for path in (*sorted(here.glob("*.py")), here.parent / "map_geometry.py"):
        digest.update(path.read_bytes())
    with suppress(PackageNotFoundError):
        digest.update(version("transformers").encode())
    return digest.hexdigest()
