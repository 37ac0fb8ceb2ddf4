"""What the Dagster UI shows before anything runs: it loads without a warning and explains itself."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from billing_pipeline.definitions import defs
from billing_pipeline.defs.partitions import DAILY
from billing_pipeline.rating.rule_book_yaml import load_rule_books
from billing_pipeline.schemas.tables import BY_NAME, TABLES
from billing_pipeline.settings import PROJECT_ROOT

GROUPS = {"ingest", "metering", "rating", "invoicing", "meter_events", "guard"}


@pytest.fixture(scope="module")
def specs() -> list[dg.AssetSpec]:
    return list(defs().resolve_all_asset_specs())


def test_the_definitions_load_without_any_warning(tmp_path: Path) -> None:
    """Neither what is deprecated nor what is beta or in preview: they would hide the ones that matter."""
    code = (
        "from billing_pipeline.definitions import defs\n"
        "repository = defs().get_repository_def()\n"
        "print(len(repository.get_all_jobs()))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code],
        env=os.environ | {"BILLING_HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    ours = [line for line in done.stderr.splitlines() if "Warning" in line and "site-packages" not in line]
    assert ours == []
    for word in ("BetaWarning", "PreviewWarning", "ExperimentalWarning", "SupersessionWarning"):
        assert word not in done.stderr


def test_the_definitions_are_valid_together() -> None:
    """Every dependency, selection and partition mapping resolves."""
    dg.Definitions.validate_loadable(defs())


def test_every_table_is_an_asset_and_only_the_push_is_none(specs: list[dg.AssetSpec]) -> None:
    """The lineage shows each table that an auditor can query, under the same name."""
    names = {spec.key.to_user_string() for spec in specs}
    assert names == {table.name for table in TABLES} | {
        "stripe_invoice_pushes",
        "stripe_meter_events",
        "guard_true_ups",
    }


def test_every_asset_tells_an_auditor_what_it_is(specs: list[dg.AssetSpec]) -> None:
    """Group by stage, a description that is a sentence, an owner, kinds, and the columns with their meaning."""
    for spec in specs:
        name = spec.key.to_user_string()
        assert spec.group_name in GROUPS, name
        assert spec.owners, name
        assert spec.kinds, name
        assert spec.partitions_def is not None, name
        if name not in {
            "stripe_invoice_pushes",
            "stripe_meter_events",
            "guard_true_ups",
        }:
            assert spec.description, name
            columns = spec.metadata["dagster/column_schema"]
            assert isinstance(columns, dg.TableSchema), name
            assert columns.columns, name
            assert all(column.description for column in columns.columns), name


def test_every_table_made_of_others_tells_which_columns_its_own_are_made_of(
    specs: list[dg.AssetSpec],
) -> None:
    """For tools as Dagster's own metadata, and as a table that the open-source UI shows."""
    for spec in specs:
        table = BY_NAME.get(spec.key.to_user_string())
        if table is None or not table.upstream:
            continue
        lineage = spec.metadata["dagster/column_lineage"]
        assert isinstance(lineage, dg.TableColumnLineage), table.name
        assert lineage.deps_by_column.keys() <= set(table.column_names), table.name
        text = str(spec.metadata["column lineage"].value)
        assert all(f"| {column} | " in text for column in table.column_names), table.name


def test_history_from_before_the_first_rule_book_has_partitions() -> None:
    """Usage is received up to three days before its own day, and what is older is rejected on its receipt day."""
    first = min(book.effective_from for book in load_rule_books(PROJECT_ROOT / "data" / "rule_books"))
    assert (first.date() - timedelta(days=366)).isoformat() == DAILY.get_partition_keys()[0]


def test_the_days_are_those_that_dagster_itself_would_list() -> None:
    """Also as of another moment: before the first day, within the first, and on a day of the future."""
    listed = dg.DailyPartitionsDefinition(DAILY.start, end_offset=1)
    assert list(DAILY.get_partition_keys()) == list(listed.get_partition_keys())
    for moment in (
        DAILY.start - timedelta(days=3),
        DAILY.start + timedelta(hours=1),
        DAILY.start + timedelta(days=4000),
    ):
        expected = list(listed.get_partition_keys(moment))
        assert list(DAILY.get_partition_keys(moment)) == expected
        with dg.partition_loading_context(moment):
            assert list(DAILY.get_partition_keys()) == expected


def test_the_push_is_described_too() -> None:
    """Its description is that of its function."""
    graph = defs().resolve_asset_graph()
    assert "Stripe" in (graph.get(dg.AssetKey("stripe_invoice_pushes")).description or "")
    assert {check.asset_key.to_user_string() for check in graph.asset_check_keys} >= {
        table.name for table in TABLES
    }
