"""What the Dagster UI shows before anything runs: it loads without a warning and explains itself."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from billing_pipeline.definitions import defs
from billing_pipeline.schemas.tables import TABLES

GROUPS = {"ingest", "metering", "rating", "invoicing"}


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
    assert names == {table.name for table in TABLES} | {"stripe_invoice_pushes"}


def test_every_asset_tells_an_auditor_what_it_is(specs: list[dg.AssetSpec]) -> None:
    """Group by stage, a description that is a sentence, an owner, kinds, and the columns with their meaning."""
    for spec in specs:
        name = spec.key.to_user_string()
        assert spec.group_name in GROUPS, name
        assert spec.owners, name
        assert spec.kinds, name
        assert spec.partitions_def is not None, name
        if name != "stripe_invoice_pushes":
            assert spec.description, name
            columns = spec.metadata["dagster/column_schema"]
            assert isinstance(columns, dg.TableSchema), name
            assert columns.columns, name
            assert all(column.description for column in columns.columns), name


def test_the_push_is_described_too() -> None:
    """Its description is that of its function."""
    graph = defs().resolve_asset_graph()
    assert "Stripe" in (graph.get(dg.AssetKey("stripe_invoice_pushes")).description or "")
    assert {check.asset_key.to_user_string() for check in graph.asset_check_keys} >= {
        table.name for table in TABLES
    }
