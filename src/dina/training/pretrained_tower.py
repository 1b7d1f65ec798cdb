"""An image tower that was trained on other recordings: its file, and how it enters a new pair of towers."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.shapes import ContrastImages
from dina.weights import read_weights, write_weights

PREFIX = "image_tower."
DIGEST_BYTES = 8
KIND = "image tower"


@dataclass(frozen=True, eq=False)
class PretrainedTower:
    """The weights of an image tower, and what they were learnt from.

    ``recordings`` holds the names of the recordings, ``images`` the first eight bytes of the SHA-256 of each image that took part in
    training or validation, and ``sha256`` the checksum of the file that was read; empty for one that is not written yet.
    """

    weights: dict[str, Tensor]
    recordings: tuple[str, ...]
    images: frozenset[bytes]
    n_updates: int
    sha256: str = ""

    @classmethod
    def of(cls, tower: nn.Module, parts: Sequence[Pairs], recordings: Sequence[str], n_updates: int) -> "PretrainedTower":
        """Take the weights of a trained image tower, and note all images of the pairs in ``parts``."""
        seen = frozenset(digest for part in parts for digest in _digests(part.images))
        return cls(
            {name: tensor.detach().clone() for name, tensor in tower.state_dict().items()}, tuple(recordings), seen, n_updates
        )

    def write(self, path: Path) -> str:
        """Write the file, whole or not at all; return its SHA-256.

        Raises
        ------
        DataError
            If ``path`` does not end in ``.safetensors``.
        """
        images = torch.from_numpy(np.frombuffer(b"".join(sorted(self.images)), np.uint8).reshape(-1, DIGEST_BYTES).copy())
        tensors = {f"{PREFIX}{name}": tensor for name, tensor in self.weights.items()} | {"images": images}
        content: dict[str, Any] = {"kind": KIND, "recordings": list(self.recordings), "n_updates": self.n_updates}
        return write_weights(path, tensors, content)

    @classmethod
    def read(cls, path: Path) -> "PretrainedTower":
        """Read what `write` wrote.

        Raises
        ------
        DataError
            If the file is missing, damaged, pickled, newer than this version, or holds no image tower.
        """
        tensors, content = read_weights(path)
        images = tensors.pop("images", None)
        names: Any = content.get("recordings")
        n_updates: Any = content.get("n_updates")
        is_known = content.get("kind") == KIND and isinstance(names, list) and isinstance(n_updates, int)
        if not is_known or images is None or images.dtype != torch.uint8 or images.ndim != 2:
            raise DataError(f"{path.name} must hold an image tower that `dina pretrain` wrote; it does not. Give another file.")
        weights = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items() if name.startswith(PREFIX)}
        seen = frozenset(row.tobytes() for row in images.numpy())
        return cls(weights, tuple(map(str, names)), seen, n_updates, hashlib.sha256(path.read_bytes()).hexdigest())

    def load_into(self, tower: nn.Module) -> None:
        """Give a tower these weights, which then stay as they are.

        Raises
        ------
        DataError
            If they are those of a tower of other layers.
        """
        try:
            tower.load_state_dict(self.weights)
        except RuntimeError as error:
            raise DataError(
                "The pretrained image tower does not fit these towers; set dina.map_channels to the number of its channels, or"
                " pretrain again."
            ) from error
        tower.requires_grad_(False)

    def check_unseen(self, parts: Sequence[Pairs]) -> None:
        """Refuse a recording that shows images on which the tower was trained: its test images may be among them.

        Images are the same if all pixels are, in units of contrast. A picture at another size, or in other greys, is not recognised.

        Raises
        ------
        DataError
            If any image of the pairs took part.
        """
        shown = [digest for part in parts for digest in _digests(part.images)]
        n_seen = sum(digest in self.images for digest in shown)
        if n_seen:
            raise DataError(
                f"The image tower must not have been trained on images of this recording; it was trained on {n_seen:,} of the"
                f" {len(shown):,} images for training and validation, so that test images may be among its images, too. Pretrain"
                " on recordings with other images, or decode recordings of the same images together with dina joint."
            )


def _digests(images: ContrastImages) -> list[bytes]:
    return [hashlib.sha256(np.ascontiguousarray(image).data).digest()[:DIGEST_BYTES] for image in images]
