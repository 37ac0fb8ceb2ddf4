"""Column lineage: every column that is derived says from which columns, and these exist."""

import pytest

from billing_pipeline.schemas.lineage import column_lineage
from billing_pipeline.schemas.table import Table
from billing_pipeline.schemas.tables import BY_NAME, RAW_USAGE_EVENTS, TABLES

DERIVED = [table for table in TABLES if table is not RAW_USAGE_EVENTS]
ROOTLESS = {"charge", "component", "term", "currency", "line_id", "description", "tiers", "message"}
"""What rules and texts add: it comes from no column."""
OF_THE_RECONCILIATION = {"comparison", "reference"}
"""Which comparison a row is, and the object in Stripe."""
OF_THE_GUARD = {"guard_settled", "settled_by_amount", "overrun", "overdraft", "holds"}
"""What comes from the guard's ledger, which is no table of the lake."""


@pytest.mark.parametrize("table", DERIVED, ids=lambda table: table.name)
def test_every_column_leads_back_to_columns_that_exist(table: Table) -> None:
    """A chain of columns leads from every column of every table towards the raw records."""
    for column, sources in column_lineage(table).items():
        assert sources or column in ROOTLESS | OF_THE_GUARD | OF_THE_RECONCILIATION, (
            f"{table.name}.{column} comes from nowhere"
        )
        for source, name in sources:
            assert name in BY_NAME[source].column_names, f"{table.name}.{column} from {source}.{name}"
            assert source in table.upstream, f"{table.name}.{column} from {source}"


def test_a_rollups_quantity_leads_back_to_events_and_corrections() -> None:
    """What an auditor asks first: where a quantity comes from."""
    sources = column_lineage(BY_NAME["usage_rollups"])["quantity"]
    assert {("unique_usage_events", "quantity"), ("usage_corrections", "quantity")} <= set(sources)
