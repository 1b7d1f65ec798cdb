"""Made-up runs with their explorers, written once for all tests of the explorer."""

from dataclasses import replace
from pathlib import Path

import pytest

from dina.explorer import write_explorer
from explorer.explorable_run import fabricate_explorable
from report.conftest import HOSTILE


@pytest.fixture(scope="session")
def explorable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an interpreted run of a simulated session, with its explorer."""
    run = fabricate_explorable(tmp_path_factory.mktemp("explorable"))
    write_explorer(run)
    return run


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run in colour, not interpreted, whose every word tries to leave its place."""
    like = replace(HOSTILE, n_test=20, thumbnail=(40, 40, 3))
    run = fabricate_explorable(tmp_path_factory.mktemp("hostile"), like, is_interpreted=False)
    write_explorer(run)
    return run
