"""Chromium shows the page without an error, a request, or anything wider than the window; everybody can use all of it."""

from pathlib import Path

import pytest

from axe_check import axe_findings
from chromium import needs_chromium

pytestmark = [pytest.mark.browser, needs_chromium]


@pytest.mark.parametrize("which", ["simulated_run", "hostile_run", "bare_run"])
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 420)])
def test_page_opens_offline_without_error_or_request(
    browser, which: str, scheme: str, width: int, request: pytest.FixtureRequest
) -> None:
    run: Path = request.getfixturevalue(which)
    # without the policy of the page, which axe needs, nothing but the page itself keeps requests and scripts away
    context = browser.new_context(offline=True, color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True)
    page = context.new_page()
    errors, requests, dialogs = [], [], []
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda asked: requests.append(asked.url))
    page.goto((run / "report.html").as_uri())
    assert errors == []
    assert dialogs == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert page.evaluate("document.scripts.length") == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    captions = "[...document.querySelectorAll('caption span, figcaption')]"  # a caption is not as wide as a table that scrolls
    assert page.evaluate(f"{captions}.every(caption => caption.getBoundingClientRect().right <= {width})")
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    paper = page.evaluate("getComputedStyle(document.querySelector('section')).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 24, 27)"}[scheme]
    if (which, scheme) in {("simulated_run", "dark"), ("bare_run", "light")}:  # axe takes seconds on a page
        page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true })")
        assert axe_findings(page) == []
    context.close()


def test_every_fold_opens_and_every_link_leads_somewhere(browser, simulated_run: Path) -> None:
    context = browser.new_context(offline=True, viewport={"width": 800, "height": 900})
    page = context.new_page()
    page.goto((simulated_run / "report.html").as_uri())
    folds, links = page.locator("summary").all(), page.locator("a[href]").all()
    assert len(folds) > 8
    assert len(links) > 8
    for fold in folds:
        is_open = fold.evaluate("fold => fold.parentElement.open")
        fold.click() if is_open else fold.press("Enter")
        assert fold.evaluate("fold => fold.parentElement.open") != is_open
    for link in links:
        link.focus()
        link.press("Enter")
        place = page.evaluate("document.querySelector(location.hash).getBoundingClientRect().top")
        assert -1 <= place < 900, link.get_attribute("href")
    outside = page.evaluate("[...document.querySelectorAll('button, input, select, textarea, video, audio, iframe')].length")
    assert outside == 0  # there is no other control
    context.close()


def test_no_two_words_of_a_drawing_lie_on_each_other(browser, simulated_run: Path) -> None:
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto((simulated_run / "report.html").as_uri())
    boxes = page.evaluate(
        "[...document.querySelectorAll('svg')].map(svg => [...svg.querySelectorAll('text')].map(text => {"
        " const box = text.getBoundingClientRect(); return [text.textContent, box.left, box.top, box.right, box.bottom] }))"
    )
    assert len(boxes) > 8
    # boxes hold the empty space above and below letters: a fifth of the height may be shared
    overlapping = [
        (a[0], b[0])
        for drawing in boxes
        for i, a in enumerate(drawing)
        for b in drawing[:i]
        if min(a[3], b[3]) - max(a[1], b[1]) > 1 and min(a[4], b[4]) - max(a[2], b[2]) > 0.2 * (a[4] - a[2])
    ]
    assert overlapping == []
    context.close()
