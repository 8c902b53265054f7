"""The study that several files run."""

from __future__ import annotations

import pytest
from support.study import BASE, Study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study that has been run once."""
    made = Study(tmp_path_factory.mktemp("study"), warm=True)
    made.run(BASE)
    return made
