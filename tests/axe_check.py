"""Ask axe whether everybody can use the page that a browser shows."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe


def axe_findings(page: Any) -> list[str]:
    """Return one line for each rule of accessibility that an open page breaks, with the elements that break it; none is good.

    The context of the page must have been opened with ``bypass_csp=True``: axe is a script that the page does not know.
    """
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['help']}: {', '.join(str(node['target']) for node in one['nodes'])}" for one in found]
