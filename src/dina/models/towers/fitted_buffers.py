"""Modules whose sizes are known only once they are fitted."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn


class FittedBuffers(nn.Module):
    """A module whose buffers get their sizes when it is fitted; loading weights gives them the sizes that were saved."""

    has_fixed_buffers: ClassVar[bool] = True  # training leaves them as they are

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *others: Any) -> None:
        for name, buffer in self.named_buffers(recurse=False):
            saved = state_dict.get(prefix + name)
            if saved is not None and saved.shape != buffer.shape:
                setattr(self, name, buffer.new_empty(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *others)


def fixed_buffers(module: nn.Module) -> dict[str, Tensor]:
    """Return the buffers of a module and its parts that training leaves as they are: where several hold the same, one will do."""
    owners = ((prefix, part) for prefix, part in module.named_modules() if getattr(part, "has_fixed_buffers", False))
    return {
        f"{prefix}.{name}" if prefix else name: buffer
        for prefix, part in owners
        for name, buffer in part.named_buffers(recurse=False)
    }
