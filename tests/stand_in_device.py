"""A device that computes on the CPU, but refuses to mix its tensors with others, as a GPU does: faults show without one."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

NAME = "standin"
COPIES = {"_to_copy", "copy_", "copy"}  # go from one device to another
READS_INDICES = {"index", "index_put", "index_put_", "_index_put_impl_"}  # indices may lie in memory, as on a GPU


class _Module(_DummyBackendModule):
    """What torch asks of the module of a device."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


class Held(Tensor):
    """A tensor that says that it lies on the device; its numbers are those of ``inner``, on the CPU."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "Held":
        return torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined, no-any-return]
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device(NAME, 0),
            requires_grad=False,
        )

    def __init__(self, inner: Tensor) -> None:
        self.inner = inner

    def tolist(self) -> Any:
        """Return the numbers, which torch refuses to do for tensors of another class."""
        return self.inner.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(func, args, kwargs or {})


def _compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Compute on the CPU; refuse tensors of two places."""
    name = func.overloadpacket.__name__
    tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
    held = [each for each in tensors if isinstance(each, Held)]
    other = [each for each in tensors if not isinstance(each, Held) and each.dim() > 0]
    wanted = kwargs.get("device")
    is_mixed = bool(held and other) and name not in COPIES
    if is_mixed and not (name in READS_INDICES and isinstance(args[0], Held)):
        raise RuntimeError(f"{name}: expected all tensors to be on the same device, but found some on the CPU and some beside it")
    inner_args, inner_kwargs = tree_map_only(Held, lambda each: each.inner, (args, dict(kwargs)))
    is_ours = torch.device(wanted).type == NAME if wanted is not None else bool(held)
    generator = kwargs.get("generator")
    # torch gives another object for the same generator: it is known by its seed
    if is_ours and generator is not None and generator.initial_seed() not in {each.initial_seed() for each in _GENERATORS}:
        raise RuntimeError(f"{name}: expected a generator of the device of the tensor")
    if wanted is not None:
        inner_kwargs["device"] = torch.device("cpu")
    found = func(*inner_args, **inner_kwargs)
    if name == "copy_" or func._schema.is_mutable:
        return return_and_correct_aliasing(func, args, kwargs, tree_map_only(Tensor, Held, found)) if held else found
    return tree_map_only(Tensor, Held, found) if is_ours else found


class _Everywhere(TorchDispatchMode):
    """Make tensors on the device where they are asked for there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(func, args, kwargs or {})


_Generator, _GENERATORS = torch.Generator, list[torch.Generator]()


class _IsGenerator(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _Generator)


class _Made(metaclass=_IsGenerator):
    """Make a generator, and remember those of the device, for which torch can make none."""

    def __new__(cls, device: torch.device | str = "cpu") -> torch.Generator:  # type: ignore[misc]
        made = _Generator()
        if torch.device(device).type == NAME:
            _GENERATORS.append(made)
        return made


def _empty_strided(size: Any, stride: Any, *, dtype: Any = None, **others: Any) -> Tensor:
    return Held(torch.empty_strided(size, stride, dtype=dtype))


def _copy(into: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    into.inner.copy_(source)  # type: ignore[attr-defined]
    return into


@cache
def _register() -> torch.library.Library:
    """Make the device, and the two steps that torch takes alone where it makes a tensor from a list."""
    _setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
    library = torch.library.Library("aten", "IMPL")
    library.impl("empty_strided", _empty_strided, "PrivateUse1")
    library.impl("copy_", _copy, "PrivateUse1")
    return library


class _NoGradients:
    """In the place of inference mode, which knows no tensors of another class."""

    def __init__(self, mode: bool) -> None:
        self.mode, self.before = mode, torch.is_grad_enabled()

    def __enter__(self) -> None:
        self.before = torch.is_grad_enabled()
        torch.set_grad_enabled(self.before and not self.mode)

    def __exit__(self, *reason: object) -> None:
        torch.set_grad_enabled(self.before)


@contextmanager
def stand_in_device() -> Iterator[torch.device]:
    """Let a device of that name exist inside."""
    _register()
    with pytest.MonkeyPatch.context() as patch, _Everywhere():
        patch.setattr(torch, "Generator", _Made)
        patch.setattr(torch._C, "_InferenceMode", _NoGradients)
        yield torch.device(NAME)
