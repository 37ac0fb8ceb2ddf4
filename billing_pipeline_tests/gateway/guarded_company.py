"""A company whose customers have to have credit, served by one gateway or more over one control database."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import make_url

from billing_pipeline.guardrails.commands import AddGrant
from billing_pipeline.guardrails.operators import OperatorPrices, OperatorTerms
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.settings import PROJECT_ROOT
from billing_pipeline_tests.gateway.served import COMMAND, Served

POLICIES = """
policies:
  prepaid:
    needs_credit: true
default: {production: prepaid}
"""
REGISTRY = """
customers:
  - {id: acme, effective_from: 2026-01-01, plan: growth, projects: [p]}
  - {id: bolt, effective_from: 2026-01-01, plan: growth, projects: [p]}
  - {id: cobalt, effective_from: 2026-01-01, plan: growth, projects: [p]}
  - {id: dune, effective_from: 2026-01-01, plan: growth, projects: [p]}
"""


def made_data(folder: Path) -> Path:
    """A data folder with the project's rule books, some customers, and a policy that asks for credit."""
    shutil.copytree(PROJECT_ROOT / "data" / "rule_books", folder / "rule_books")
    (folder / "registry.yaml").write_text(REGISTRY, "utf-8")
    (folder / "guard.yaml").write_text(POLICIES, "utf-8")
    return folder


@contextmanager
def serving(folder: Path, control_url: str, gateways: int) -> Iterator[list[Served]]:
    """Gateways over one home, and a control database in it or on PostgreSQL."""
    variables = {"BILLING_DATA": str(made_data(folder / "data"))}
    if make_url(control_url).get_backend_name() != "sqlite":
        variables["BILLING_CONTROL_URL"] = control_url
    with ExitStack() as stack:
        found = []
        for _ in range(gateways):
            served = Served(folder / "home", COMMAND, variables)
            stack.callback(served.close)
            found.append(served)
        yield found


def grant(served: Served, customer_id: str, amount: int) -> None:
    """Give a customer credit, by a writer of another process than the gateway's."""
    command = AddGrant(customer_id=customer_id, currency="usd", grant_id="prepaid", amount=amount)
    with Pipeline(served.settings).guard_ledger(OperatorTerms(), OperatorPrices()) as ledger:
        ledger.submit(command).result()
