"""The `billing` command as a person runs it on a home, with its exit status and its output."""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from billing_pipeline.cli import main
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
        "STRIPE_API_KEY": "",
        "STRIPE_API_BASE": "",
        "COLUMNS": "200",
    }


@pytest.fixture(scope="session")
def billing() -> Callable[..., Completed]:
    """Runs the command within this process, for speed; `changed` goes over the environment that points to the home."""

    def run(home: Path, *arguments: object, changed: Mapping[str, str] | None = None) -> Completed:
        words = ["billing", *map(str, arguments)]
        out, err, status = io.StringIO(), io.StringIO(), 0
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name, value in {**environment(home), **(changed or {})}.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", words)
            try:
                main()
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else 0
        return Completed(words, status, out.getvalue(), err.getvalue())

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
