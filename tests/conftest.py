"""Options of the test run, and budgets for random tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tiledsl import config

ROOT = Path(__file__).resolve().parent.parent
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
# an ordinary run draws the same programs every time; TILEDSL_FUZZ draws others
settings.register_profile("tiledsl", deadline=None, suppress_health_check=SLOW, derandomize=not config.fuzz())
settings.load_profile("tiledsl")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite what golden files expect")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are rewritten instead of checked."""
    return bool(request.config.getoption("--update-golden"))


def examples(ordinary: int) -> int:
    """How many random examples a test draws: TILEDSL_FUZZ says, else a number that keeps the run short."""
    return config.fuzz() or ordinary
