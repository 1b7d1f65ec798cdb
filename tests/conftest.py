"""What all tests share: torch on one thread, and one small simulated session."""

import gc
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # not at run time: the process that hands out files to workers reads this file too, and needs nothing of it
    from dina.recordings.recording import Recording

LONGEST = (
    "study",
    "contracts",
    "journey",
    "cli",
    "explorer",
    "report",
    "analyses",
    "training",
    "rivals",
    "models",
    "recordings",
    "house",
)
"""Folders whose files take long."""
TOGETHER = ("tests/report", "tests/explorer")
"""Folders whose files share runs with their pages, and the browser: one worker makes these, and not each."""

# tests leave nothing in the user's cache, and find nothing there
os.environ["DINA_FEATURES"] = "off"
# while tests are imported nothing becomes garbage
gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the folders whose files take long first, so that workers that share the files end at the same time."""
    place = {f"tests/{name}": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get("/".join(item.nodeid.split("/")[:2]), len(place)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object | None:
    """Give all files of some folders to one worker, and each file of the others to the next worker that is free."""
    from xdist.scheduler import LoadFileScheduling

    class LoadFolderScheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            folder = "/".join(nodeid.split("/")[:2])
            return folder if folder in TOGETHER else str(super()._split_scope(nodeid))

    return LoadFolderScheduling(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_finish() -> None:
    """Put torch on one thread, and leave what was imported out of every later search for garbage: it stays to the end."""
    import torch

    # workers of pytest-xdist share the cores; and sums over threads differ in their last bit
    torch.set_num_threads(1)
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what dina keeps, weights of a trained network among it, in a folder of the tests' own."""
    os.environ["DINA_DATA"] = str(tmp_path_factory.getbasetemp() / "cache")


@pytest.fixture(scope="module")
def two_window_widths() -> Iterator[None]:
    """Let local encoding models choose between two widths of receptive fields, each of which takes a fit, and not five."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dina.rivals.encoding_identification.WIDTHS", (0.75, 1.7))
        yield


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """Give Chromium, started once for all tests that look at pages."""
    from playwright.sync_api import sync_playwright  # imported here: most tests need no browser

    from chromium import ARGUMENTS, CHROMIUM

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def small_session() -> "Recording":
    """Give a simulated session of 60 neurons and 80 images of 24 x 48 pixels, two repeats, truth known."""
    from dina.recordings.simulator import simulate  # imported here: most tests need no session

    small = {"n_neurons": 60, "n_stimuli": 80, "height": 24, "width": 48, "n_subunits": 40, "n_broad_factors": 10}
    return simulate("demo", seed=0, settings={**small, "n_spontaneous": 50})
