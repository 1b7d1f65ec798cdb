"""In Chromium every control of the explorer does what it says, by mouse and by keyboard, without an error or a request."""

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from axe_check import axe_findings
from chromium import needs_chromium
from dina.artifacts import write_dataset
from dina.explorer import write_explorer
from dina.explorer.compute import Limits, gather
from dina.explorer.kept_maps import KEPT, read_kept
from dina.explorer.loopback import ExplorerServer, serve_run
from dina.signed_folder import write_checksums
from dina.study.run_directory import Run, read_run

pytestmark = [pytest.mark.browser, needs_chromium]


@dataclass
class Opened:
    """An open page, and what went wrong on it."""

    page: Any
    faults: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def status(self) -> str:
        return str(self.page.inner_text("#status"))

    def shows(self, words: str) -> None:
        """Wait until the status says so: images are drawn when they have been unpacked.

        By a selector, as everywhere here: a function to wait for would be evaluated by the page, which forbids it.
        """
        self.page.locator("#status", has_text=words).wait_for()

    def shows_neuron(self, number: int) -> None:
        """Wait until this neuron is shown."""
        self.page.locator("#neuron-words", has_text=f"Neuron {number}.").wait_for()

    def choose(self, control: str, option: str) -> None:
        self.page.select_option(control, label=option)


@pytest.fixture(scope="module")
def open_page(browser: Any) -> Iterator[Callable[..., Opened]]:
    contexts = []

    def opened(address: str | Path, scheme: str = "light", width: int = 1280, **others: Any) -> Opened:
        is_file = isinstance(address, Path)
        viewport = {"width": width, "height": 900}
        context = browser.new_context(offline=is_file, color_scheme=scheme, viewport=viewport, **others)
        contexts.append(context)
        one = Opened(context.new_page())
        one.page.on("console", lambda message: one.faults.append(message.text))
        one.page.on("pageerror", lambda error: one.faults.append(str(error)))
        one.page.on("dialog", lambda dialog: (one.faults.append(dialog.message), dialog.dismiss()))
        one.page.on("request", lambda asked: one.requests.append(asked.url))
        one.page.goto((address / "explorer.html").as_uri() if isinstance(address, Path) else address)
        one.shows("right image: ")
        return one

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def shown(open_page: Callable[..., Opened], explorable: Path) -> Opened:
    return open_page(explorable)


def test_image_is_chosen_by_buttons_list_and_arrow_keys(shown: Opened) -> None:
    page = shown.page
    shown.shows("Image 1 of 60: image 0; average over trials;")
    page.click("#next-image")
    shown.shows("Image 2 of 60: image 3, birds;")
    page.keyboard.press("ArrowRight")  # the button has the focus; its arrows do nothing else
    shown.shows("Image 3 of 60: image 6;")
    page.keyboard.press("ArrowLeft")
    page.click("#previous-image")
    page.click("#previous-image")
    shown.shows("Image 60 of 60: image 177, birds;")
    page.select_option("#image", index=10)
    shown.shows("Image 11 of 60: image 30;")
    page.focus("#name-filter")
    page.keyboard.press("ArrowRight")  # belongs to the text
    page.click("h1")
    page.keyboard.press("ArrowRight")
    shown.shows("Image 12 of 60: image 33, birds;")
    assert page.get_attribute("#status", "aria-live") == "polite"
    assert page.locator("#best li").count() == 6
    assert page.locator("#best li.right canvas[aria-label*='right: image 33']").count() == 1


def test_images_are_filtered_by_rank_name_response_and_occlusion(shown: Opened) -> None:
    page = shown.page
    shown.choose("#query", "single trial 2")
    shown.shows("single trial 2;")
    shown.choose("#rank-filter", "tied for first, or up to 5")
    listed = page.locator("#image option").all_inner_texts()
    assert listed
    ranks = [float(re.search(r"rank ([\d.]+)", words)[1]) for words in listed]  # type: ignore[index]
    assert all(1 < rank <= 5 for rank in ranks)
    assert (
        page.inner_text("#decoders tbody tr:first-child td")
        == f"{ranks[listed.index(page.inner_text('#image option:checked'))]:g} of 60"
    )
    shown.choose("#rank-filter", "any")
    page.fill("#name-filter", "IMAGE 17")
    assert [words.split(",")[0].split(" (")[0] for words in page.locator("#image option").all_inner_texts()] == [
        "image 171",
        "image 174",
        "image 177",
    ]
    page.fill("#name-filter", "no such name")
    assert shown.status() == "No image fits this choice."
    assert page.is_visible("#nothing")
    assert page.is_disabled("#next-image")
    page.fill("#name-filter", "")
    page.check("#occluded-filter")
    shown.shows("of 6:")
    assert page.is_visible("#occlusion canvas")
    page.uncheck("#occluded-filter")
    shown.choose("#query", "average over trials")
    shown.shows("of 60:")


def test_maps_and_occlusion_follow_their_lists(shown: Opened) -> None:
    page = shown.page
    page.select_option("#image", index=0)
    shown.shows("Image 1 of 60")
    shown.choose("#group", "luminance (1)")
    page.locator("#maps figure:only-child").wait_for()
    assert "correlation of both maps" in page.get_attribute("#maps canvas >> nth=0", "aria-label")
    assert "pixels, whole image" in page.inner_text("#maps-beside")
    shown.choose("#group", "energy 8 px (2)")
    page.locator("#maps figure:nth-child(2):last-child").wait_for()
    assert page.locator("#maps canvas").count() == 4
    before = page.get_attribute("#occlusion canvas", "aria-label")
    usual = r"of the 6 occluded images lose between \S+ and .*? \(below 0: gain\)\. Rings: the \d+ of 60 places .*33\u202f% if it were like the others"
    assert re.search(usual, page.inner_text("#occlusion-words"))
    assert re.search(usual, before)
    shown.choose("#sweep", "small window, to grey, 2 px")
    page.locator(f'#occlusion canvas:not([aria-label="{before}"])').wait_for()
    page.click("#next-image")
    shown.shows("Image 2 of 60")
    assert "not among the 6 that were occluded" in page.inner_text("#occlusion-words")


def test_neuron_is_chosen_by_table_cortex_list_buttons_and_order(shown: Opened) -> None:
    page = shown.page
    assert page.inner_text("#contributing thead th:nth-child(4)") == "in most images"
    assert "neurons; " in page.inner_text("#contributing-words")
    assert page.inner_text("#contributing-words").endswith("are expected if it is like the others.")
    first = page.inner_text("#contributing tbody tr:nth-child(3) button")
    page.click("#contributing tbody tr:nth-child(3) button")
    shown.shows_neuron(int(first.removeprefix("neuron ")))
    assert page.inner_text("#contributing tr.chosen button") == first
    page.locator("#cortex canvas").click(position={"x": 40, "y": 40})
    page.locator(f"#neuron-words:not(:has-text('{first.capitalize()}.'))").wait_for()
    shown.choose("#neuron-order", "number")
    page.select_option("#neuron", value="7")
    shown.shows_neuron(7)
    assert "responses to images left out of the fit (chance: −0.25 to 0.25)" in page.inner_text("#field figcaption")
    page.click("#next-neuron")
    shown.shows_neuron(8)
    page.select_option("#neuron", value="9")
    shown.shows_neuron(9)
    page.locator("#field:not(:has(canvas))").wait_for()
    assert page.inner_text("#field").startswith("No field is drawn. Its prediction correlates by −0.1 with responses")
    page.click("#previous-neuron")
    shown.shows_neuron(8)
    assert page.locator("#layers tbody tr").count() == 3
    page.click("#previous-neuron")
    shown.shows_neuron(7)
    assert "not among those whose layers" in page.inner_text("#layers-words")
    assert page.locator("#neuron-best li").count() == 5
    assert "Receptive field over" in page.get_attribute("#field canvas", "aria-label")
    assert "from the strongest to the weakest" in page.get_attribute("#responses canvas", "aria-label")


def test_nothing_went_wrong_and_nothing_was_asked_for(shown: Opened, explorable: Path) -> None:
    assert shown.faults == []
    assert shown.requests[0] == (explorable / "explorer.html").as_uri()
    assert [url for url in shown.requests[1:] if not url.startswith("data:")] == []
    unnamed = "[...document.querySelectorAll('canvas')].filter(one => !one.getAttribute('aria-label') && !one.ariaHidden).length"
    assert shown.page.evaluate(unnamed) == 0


def test_a_choice_that_is_gone_and_an_unknown_place_in_cortex_leave_the_page_right(
    open_page: Callable[..., Opened], explorable: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(explorable, tmp_path / "run"))
    kept = xr.load_dataset(run / KEPT, engine="h5netcdf")
    kept["position_um"][3] = np.nan
    write_dataset(run / KEPT, kept)
    write_checksums(run)
    write_explorer(run)
    one = open_page(run)
    edge = "document.querySelector('#cortex canvas').height"
    assert one.page.evaluate(edge) > 60
    assert "NaN" not in one.page.inner_text("#cortex")
    # the next image is still being drawn when no image is left
    one.page.evaluate(
        "document.getElementById('next-image').click();"
        "const part = document.getElementById('name-filter');"
        "part.value = 'no such name'; part.dispatchEvent(new Event('input'))"
    )
    one.page.wait_for_timeout(300)
    assert one.status() == "No image fits this choice."
    assert one.faults == []


def test_ties_are_told_in_words(open_page: Callable[..., Opened], explorable: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(explorable, tmp_path / "run"))
    (run / "SHA256SUMS").unlink()
    path = run / "results" / "retrieval_dina.nc"
    with xr.open_dataset(path, engine="h5netcdf") as stored:
        scores = stored.load()
    scores["scores_averaged"][0] = np.r_[9.0, 9.0, np.zeros(58)]
    scores["scores_averaged"][1] = 0.5
    scores.to_netcdf(path, engine="h5netcdf")
    write_checksums(run)
    write_explorer(run)
    one = open_page(run)
    one.shows("right image: tied for ranks 1 and 2 of 60.")
    assert "is tied for ranks 1 and 2 (as many images have the same score" in one.page.inner_text("#retrieval-words")
    assert one.page.inner_text("#decoders tbody tr:first-child td") == "tied for ranks 1 and 2 of 60"
    one.page.click("#next-image")
    one.shows("right image: tied for ranks 1 to 60 of 60.")
    one.choose("#rank-filter", "first, alone")
    assert not [words for words in one.page.locator("#image option").all_inner_texts() if "tied" in words]
    assert one.faults == []


def test_the_rank_of_a_neuron_is_among_all_of_the_recording(open_page: Callable[..., Opened], explorable: Path) -> None:
    content, kept = read_run(explorable), read_kept(Run(explorable))
    assert kept is not None
    with ExplorerServer("few", gather(content, kept, Limits(n_neurons=30))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            one = open_page(server.address)
        finally:
            server.shutdown()
            thread.join()
    assert "rank 1 of 400." in one.page.inner_text("#neuron-words")


def test_hostile_words_open_harmlessly(open_page: Callable[..., Opened], hostile: Path) -> None:
    one = open_page(hostile, "dark", 400)
    one.page.click("#next-image")
    one.shows("Image 2 of 20")
    assert one.faults == []
    assert [url for url in one.requests[1:] if not url.startswith("data:")] == []
    assert "<script>alert(1)</script>" in one.page.inner_text("#best")
    assert one.page.evaluate("document.images.length") == 0
    assert "dina interpret RUN occlusion" in one.page.inner_text("#occlusion-words")
    assert "dina interpret RUN contributions" in one.page.inner_text("#contributing-words")
    assert one.page.evaluate("document.documentElement.scrollWidth") <= 400


def test_served_explorer_shows_everything_and_asks_its_server_alone(open_page: Callable[..., Opened], explorable: Path) -> None:
    with serve_run(explorable) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            one = open_page(server.address)
            one.page.keyboard.press("ArrowRight")
            one.shows("Image 2 of 60")
        finally:
            server.shutdown()
            thread.join()
    assert one.faults == []
    own = f"http://127.0.0.1:{server.port}/"
    assert {url.split("?")[0].removeprefix(own) for url in one.requests if not url.startswith("data:")} >= {"", "packet/overview"}
    assert [url for url in one.requests if not url.startswith((own, "data:"))] == []


@pytest.mark.parametrize(
    ("scheme", "width"),
    [("light", 1280), ("dark", 400)]
    + [pytest.param(*one, marks=pytest.mark.long) for one in (("light", 800), ("light", 400), ("dark", 1280), ("dark", 800))],
)
def test_everybody_can_use_it(open_page: Callable[..., Opened], explorable: Path, scheme: str, width: int) -> None:
    one = open_page(explorable, scheme, width, bypass_csp=True)
    assert axe_findings(one.page) == []
    assert one.page.evaluate("document.documentElement.scrollWidth") <= width
