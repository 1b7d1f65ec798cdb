"""Import a script of `benchmarks/`, which is no package, for a test of what it does."""

import importlib
from types import ModuleType

import pytest

from house.sources import ROOT


def import_script(name: str, folder: str = "benchmarks") -> ModuleType:
    """Return the module of a script; what it imports is found from the folder, by default that of the scripts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / folder)
        return importlib.import_module(name)
