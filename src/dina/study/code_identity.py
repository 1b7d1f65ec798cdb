"""Which code a user's own part is made of, so that a run knows when another code would have given other numbers."""

import builtins
import hashlib
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType, MethodType

import numpy as np
from torch import Tensor

# Their versions are in the record of every run, or change nothing that a part computes.
_KNOWN_OTHERWISE = {"dina", "torch", "typing", "abc", "collections", "enum", "pydantic"}


def describe_code(part: object, *beside: object) -> dict[str, str]:
    """Return class or function of a part, its module, and a SHA-256 over source and values, those of what stands beside it too.

    The checksum covers the source of the class or function, of the classes that it derives from, and of the functions, classes
    and plain values of the same module that it names; and the values of the object: attributes, defaults, and what a function
    takes from around it. It does not cover what is imported from other modules. Where there is no source, as in an interactive
    session of an old Python, the compiled code counts.
    """
    named = part if isinstance(part, type | FunctionType) else part.func if isinstance(part, partial) else type(part)
    digest = hashlib.sha256()
    for piece in _pieces((part, *beside), {}):
        digest.update(piece)
    return {"name": str(getattr(named, "__qualname__", named)), "module": str(named.__module__), "sha256": digest.hexdigest()}


def _pieces(value: object, seen: dict[int, object]) -> Iterator[bytes]:
    """Yield everything that decides what a value does, in a fixed order; what refers to itself is entered once."""
    if _is_plain(value):
        yield repr(value).encode()
        return
    if id(value) in seen:
        return
    seen[id(value)] = value  # kept, so that no other object gets its number
    yield type(value).__name__.encode()
    if isinstance(value, np.ndarray | np.generic | Tensor):
        array = np.ascontiguousarray(value.detach().cpu().numpy() if isinstance(value, Tensor) else value)
        yield f"{array.dtype} {array.shape}".encode() + (
            repr(array.tolist()).encode() if array.dtype.hasobject else array.tobytes()
        )
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from (*_pieces(key, seen), *_pieces(inner, seen))
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in sorted(value, key=repr) if isinstance(value, set | frozenset) else value:
            yield from _pieces(inner, seen)
    elif isinstance(value, type):
        for kind in value.__mro__:
            if not _is_known_otherwise(kind):
                yield _source_of(kind)
                yield from (piece for member in _functions(kind) for piece in _pieces(_named_in(member), seen))
    elif isinstance(value, FunctionType):
        yield _source_of(value)
        around = [cell.cell_contents for cell in value.__closure__ or ()]
        yield from _pieces([value.__defaults__, value.__kwdefaults__, around, _named_in(value)], seen)
    elif isinstance(value, partial | MethodType):
        given = (value.func, value.args, value.keywords) if isinstance(value, partial) else (value.__func__, value.__self__)
        yield from _pieces(given, seen)
    else:
        yield from (*_pieces(type(value), seen), *_pieces(dict(getattr(value, "__dict__", {})), seen))


def _is_known_otherwise(kind: type) -> bool:
    is_built_in = kind.__module__ == "builtins" and getattr(builtins, kind.__name__, None) is kind
    return is_built_in or kind.__module__.partition(".")[0] in _KNOWN_OTHERWISE


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str | bytes | Path)


def _functions(kind: type) -> list[FunctionType]:
    """Return the functions that a class defines itself, static and class methods and properties among them."""
    members = [getattr(member, "__func__", getattr(member, "fget", member)) for member in vars(kind).values()]
    return [member for member in members if isinstance(member, FunctionType)]


def _named_in(function: FunctionType) -> list[object]:
    """Return the functions, classes and plain values of its module that a function names."""
    found = {name: function.__globals__[name] for name in sorted(_names(function.__code__)) if name in function.__globals__}
    return [
        value
        for value in found.values()
        if _is_plain(value)
        or isinstance(value, tuple | np.ndarray)
        or (isinstance(value, type | FunctionType) and value.__module__ == function.__module__)
    ]


def _names(code: CodeType) -> set[str]:
    inner = (_names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*inner)


def _source_of(part: type | FunctionType) -> bytes:
    """Return the source of a class or function or, where it cannot be found, its compiled code."""
    name = f"{part.__module__}.{part.__qualname__}\n"
    try:
        return (name + textwrap.dedent(inspect.getsource(part))).encode()
    except (OSError, TypeError, SyntaxError):
        functions = _functions(part) if isinstance(part, type) else [part]
        return (name + repr([_compiled(one.__code__) for one in functions])).encode()


def _compiled(code: CodeType) -> tuple[object, ...]:
    constants = [_compiled(one) if isinstance(one, CodeType) else one for one in code.co_consts]
    return code.co_code, code.co_names, constants
