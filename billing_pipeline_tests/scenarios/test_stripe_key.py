"""The Stripe key is in nothing that is printed or kept, also where everything fails."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from billing_pipeline_tests.invoicing.stripe.canned_stripe import canned_stripe, refused
from billing_pipeline_tests.scenarios.conftest import environment

SECRET = "Recognisable7Secret"  # noqa: S105 - it opens nothing
USAGE = (
    '{"type": "usage", "schema_version": 2, "source": "chat", "id": "r1", "customer_id": "acme", "project_id": "p", '
    '"occurred_at": "2026-10-31T10:00:00Z", "unit": "token", "quantity": "1234567", "correlation_id": "c", '
    '"dimensions": {"model": "atlas-large", "token_class": "output"}}\n'
)
COMMANDS: dict[str, list[list[str]]] = {
    "refused": [
        ["stripe", "sync", "--compare"],
        ["stripe", "link", "acme", "cus_1"],
        ["stripe", "meter-events", "send"],
        ["close", "--through", "2026-10-31"],
    ],
    "unreachable": [["stripe", "meter-events", "status"]],
    "malformed": [["stripe", "sync"]],
    "live": [["stripe", "sync"]],
}
"""What is run in each way of failing."""


@pytest.mark.parametrize("way", list(COMMANDS))
def test_the_key_leaves_no_trace(new_home: Callable[..., Path], way: str) -> None:
    """Refused, not reachable, malformed, live without an account: commands, logs, databases and Dagster's events."""
    home = new_home(dagster_on_disk=True)
    events = home.parent / "events.ndjson"
    events.write_text(USAGE, "utf-8")
    with canned_stripe() as canned:
        canned.answers["GET /v1/account"] = (200, {"id": "acct_1", "object": "account"})
        for path in ("customers", "products", "invoices"):
            canned.answers[f"POST /v1/{path}"] = refused("This key may not do that.")
        base = "http://127.0.0.1:9" if way == "unreachable" else canned.address
        key = {"malformed": f"sk_test_{SECRET}\n", "live": f"rk_live_{SECRET}"}.get(way, f"sk_test_{SECRET}")
        variables = environment(home) | {
            "STRIPE_API_KEY": key,
            "STRIPE_API_BASE": "" if way == "live" else base,
            "STRIPE_LOG": "debug",
            "PYTHONLOGLEVEL": "DEBUG",
        }
        told = []
        before = [
            ["import", "--format", "ndjson", "--received-at", "occurred", "--register", str(events)],
            ["queue", "advance", "--to", "2026-11-01T01:00:00Z"],
        ]
        for words in [*(before if way == "refused" else ()), *COMMANDS[way]]:
            done = subprocess.run(
                [sys.executable, "-c", "from billing_pipeline.cli import main; main()", *words],
                env={**os.environ, **variables},
                capture_output=True,
                check=False,
                text=True,
                timeout=240,
            )
            told.append(f"{done.returncode} {done.stdout} {done.stderr}")
    assert any(text.startswith("1 ") for text in told), told
    assert SECRET not in "".join(told)
    kept = [path for path in home.parent.rglob("*") if path.is_file()]
    assert way != "refused" or any(path.name == "control.sqlite" for path in kept)
    holding = [path for path in kept if SECRET.encode() in path.read_bytes()]
    assert holding == []
