"""A pytest plugin that writes the table of faults into its page: pytest -m fault -p support.faults."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Generator

import pytest

from support.toys import ROOT

sys.path.append(str(ROOT / "docs"))
from marked import put, table

PAGE = ROOT / "docs" / "reference" / "faults.md"
VERDICTS = {"passed": "ok", "skipped": "not tried here", "failed": "WRONG"}

_rows: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)  # outcomes of tests by file, attack and right


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give each report the rows of its test, which other processes cannot ask for."""
    report = yield
    callspec = getattr(item, "callspec", None)
    for mark in item.iter_markers("fault"):
        attack, right = mark.args
        report.user_properties.append((item.path.stem, f"{attack.format(id=callspec.id if callspec else '')}\n{right}"))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Take account of what has been tried."""
    for place, row in {(place, str(row)) for place, row in report.user_properties}:  # once, not once for each phase
        if report.when == "call" or report.outcome != "passed":
            attack, right = row.split("\n")
            _rows[place, attack, right].append(report.outcome)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the table, where all processes' tests are known."""
    if hasattr(session.config, "workerinput") or not _rows:
        return
    found = [
        [attack, right, VERDICTS["failed" if "failed" in outcomes else outcomes[0]]]
        for (_, attack, right), outcomes in sorted(_rows.items())
    ]
    put(PAGE, "faults", table(["fault", "what is right", "verdict"], found))
