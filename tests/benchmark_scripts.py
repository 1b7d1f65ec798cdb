"""Import a script of `benchmarks/`, which is no package, for a test of what it does."""

import importlib
from types import ModuleType

import pytest

from house.sources import ROOT


def import_script(name: str) -> ModuleType:
    """Return the module of a script; scripts that it imports lie beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        return importlib.import_module(name)
