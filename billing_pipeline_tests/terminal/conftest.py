"""The `billing` command as a person runs it on a home, with its exit status and its output."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from billing_pipeline.settings import PROJECT_ROOT

START = "import sys; from billing_pipeline.cli import main; sys.argv[0] = 'billing'; main()"
Completed = subprocess.CompletedProcess[str]


def environment(home: Path) -> dict[str, str]:
    """What points the command to a home, and away from the environment of whoever runs the tests."""
    return {
        "BILLING_HOME": str(home),
        "BILLING_DAGSTER": str(home / "dagster"),
        "BILLING_DATA": str(PROJECT_ROOT / "data"),
        "BILLING_TOML": str(home / "none.toml"),
        "DAGSTER_HOME": str(PROJECT_ROOT),
        "BILLING_QUEUE_URL": "",
        "STRIPE_API_KEY": "",
        "STRIPE_API_BASE": "",
        "COLUMNS": "200",
    }


@pytest.fixture(scope="session")
def billing(
    in_process: Callable[[Sequence[object], Mapping[str, str]], Completed],
) -> Callable[..., Completed]:
    """Runs the command within this process, for speed; `changed` goes over the environment that points to the home."""

    def run(home: Path, *arguments: object, changed: Mapping[str, str] | None = None) -> Completed:
        return in_process(arguments, {**environment(home), **(changed or {})})

    return run


@pytest.fixture(scope="session")
def billing_process() -> Callable[..., Completed]:
    """Runs the command in a process of its own, where what was imported before would hide something."""

    def run(home: Path, *arguments: object, changed: Mapping[str, str] | None = None) -> Completed:
        return subprocess.run(
            [sys.executable, "-c", START, *map(str, arguments)],
            env={**os.environ, **environment(home), **(changed or {})},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run
