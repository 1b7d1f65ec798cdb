"""Modules whose sizes are known only once they are fitted."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class FittedBuffers(nn.Module):
    """A module whose buffers get their sizes when it is fitted; loading weights gives them the sizes that were saved."""

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *others: Any) -> None:
        for name, buffer in self.named_buffers(recurse=False):
            saved = state_dict.get(prefix + name)
            if saved is not None and saved.shape != buffer.shape:
                setattr(self, name, buffer.new_empty(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *others)
