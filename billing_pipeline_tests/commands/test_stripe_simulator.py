"""`billing stripe simulator`, as a process of its own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import stripe
from click.testing import CliRunner

from billing_pipeline.cli import billing
from billing_pipeline.errors import FaultRuleError


def _started(*arguments: str, store: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from billing_pipeline.cli import main; main()",
            "stripe",
            "simulator",
            "--store",
            str(store),
            *arguments,
        ],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("STRIPE_API_BASE="):
            return process, line.strip().removeprefix("STRIPE_API_BASE=")
    raise AssertionError(process.communicate()[1])


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_with_faults_until_it_is_told_to_end(tmp_path: Path, ending: signal.Signals) -> None:
    """The printed address works, the faults happen and are told, and it ends with status 0."""
    faults = tmp_path / "faults.yaml"
    faults.write_text("- GET /v1/customers unavailable\n")
    process, address = _started(
        "--fault", "POST /v1/customers rate_limited", "--faults", str(faults), store=tmp_path / "s.sqlite"
    )
    client = stripe.StripeClient("sk_test_any", base_addresses={"api": address})
    with pytest.raises(stripe.RateLimitError):
        client.v1.customers.create({"name": "Ada"})
    with pytest.raises(stripe.APIError):
        client.v1.customers.list()
    client.v1.customers.create({"name": "Ada"})
    assert [customer.name for customer in client.v1.customers.list().data] == ["Ada"]
    process.send_signal(ending)
    printed, told = process.communicate(timeout=30)
    assert (process.returncode, printed) == (0, "Ended; 2 faults were made.\n")
    assert told.splitlines() == [
        "fault: rate_limited on POST /v1/customers",
        "fault: unavailable on GET /v1/customers",
    ]


def test_a_store_is_kept_and_its_clock_goes_on(tmp_path: Path) -> None:
    """What one process was told, the next one knows, three days later where asked."""
    store, three_days = tmp_path / "s.sqlite", 3 * 86_400
    created = []
    for arguments in ((), ("--clock-offset", str(three_days))):
        process, address = _started(*arguments, store=store)
        client = stripe.StripeClient("sk_test_any", base_addresses={"api": address})
        created.append(client.v1.customers.create({"name": "Ada"}).created)
        assert len(client.v1.customers.list().data) == len(created)
        process.terminate()
        process.communicate(timeout=30)
    assert three_days <= created[1] - created[0] < three_days + 300


def test_it_prints_its_contract() -> None:
    """As an OpenAPI document, without serving anything."""
    result = CliRunner().invoke(billing, ["stripe", "simulator", "--contract"])
    assert result.exit_code == 0
    assert "/v1/credit_notes/{id}/void" in json.loads(result.output)["paths"]


def test_a_fault_that_is_none_is_refused(tmp_path: Path) -> None:
    """Before anything is served."""
    with pytest.raises(FaultRuleError, match="the kinds are rate_limited"):
        CliRunner().invoke(
            billing,
            ["stripe", "simulator", "--store", str(tmp_path / "s"), "--fault", "POST /v1/customers explode"],
            catch_exceptions=False,
        )
