"""Made-up runs with their pages, written once for all tests of the report."""

from pathlib import Path

import pytest

from dina.report import write_report
from report.fabricated_run import Fabrication, fabricate_run

PAYLOAD = "<script>alert(1)</script>\"><img src=x onerror=alert(2)>' {{7*7}} $x$ ]]> --> \u202e\nend"
HOSTILE = Fabrication(
    name=PAYLOAD + "x" * 10_000,
    thumbnail=(200, 200, 3),
    is_simulated=False,
    label=PAYLOAD,
    note=PAYLOAD,
    words=PAYLOAD,
    file_name=PAYLOAD,
)


@pytest.fixture(scope="session")
def simulated_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = fabricate_run(tmp_path_factory.mktemp("simulated"))
    write_report(run)
    return run


@pytest.fixture(scope="session")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a real recording in colour whose every word tries to leave its place."""
    run = fabricate_run(tmp_path_factory.mktemp("hostile"), HOSTILE)
    write_report(run)
    return run


@pytest.fixture(scope="session")
def bare_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of averages only, in which dina could not be trained; with an explorer beside its page."""
    like = Fabrication(thumbnail=(31, 31), is_simulated=False, has_averages_only=True, has_dina=False)
    run = fabricate_run(tmp_path_factory.mktemp("bare"), like)
    (run / "explorer.html").touch()
    write_report(run)
    return run
