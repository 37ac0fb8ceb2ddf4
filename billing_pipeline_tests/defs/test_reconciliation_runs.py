"""The reconciliation in Dagster: totals that can be seen, and a check that is red where a person has to act."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.definitions import defs
from billing_pipeline.ingest.landed_partitions import landed_partitions
from billing_pipeline.invoicing.period_close.push_stage import push_days
from billing_pipeline.invoicing.simulator.store import Store
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.tables import RECONCILIATION_REPORT
from billing_pipeline.settings import PROJECT_ROOT, load_settings
from billing_pipeline_tests.audit.invoiced_company import DAY, END, october

CHECK = dg.AssetCheckKey(dg.AssetKey(RECONCILIATION_REPORT.name), "invoices_reconciled")
DAYS = [date(2026, 10, 1), date(2026, 10, 5), DAY, END]


@pytest.fixture
def company(
    tmp_path: Path,
    usage: Callable[..., LogRecord],
    change: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    close: Callable[[Pipeline, Sequence[date]], StageResult],
) -> Iterator[Pipeline]:
    """October, pushed to the simulator; the environment points to its home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BILLING_HOME", str(tmp_path / "home"))
        patch.setenv("BILLING_DATA", str(PROJECT_ROOT / "data"))
        for name in ("STRIPE_API_KEY", "STRIPE_API_BASE"):
            patch.setenv(name, "")
        pipeline = Pipeline(load_settings())
        receive(pipeline, october(usage, change, registered))
        result = landed_partitions(pipeline.workshop, DAYS).then(close(pipeline, DAYS))
        pipeline.record(result, watermark=pipeline.calendar.close(END), run_id="test")
        push_days(pipeline.workshop, pipeline.control, pipeline.settings, [END])
        yield pipeline
        pipeline.control.dispose()


def reconciled(instance: dg.DagsterInstance) -> tuple[dict[str, dg.MetadataValue], dg.AssetCheckEvaluation]:
    """Materialize the partition of the month's end with its checks: its metadata, and what the check says."""
    job = (
        defs()
        .resolve_implicit_global_asset_job_def()
        .get_subset(asset_selection={dg.AssetKey(RECONCILIATION_REPORT.name)}, asset_check_selection={CHECK})
    )
    result = job.execute_in_process(instance=instance, partition_key=END.isoformat(), raise_on_error=False)
    assert result.success
    (made,) = result.asset_materializations_for_node(RECONCILIATION_REPORT.name)
    (check,) = [each for each in result.get_asset_check_evaluations() if each.check_name == CHECK.name]
    return dict(made.metadata), check


def test_the_totals_are_seen_three_times_and_the_check_is_red_after_a_void(company: Pipeline) -> None:
    """As a table and a picture; nothing stops, and the message says what was done and what to do."""
    with dg.DagsterInstance.ephemeral() as instance:
        metadata, check = reconciled(instance)
        table = str(metadata["three-way totals"].value)
        assert "| zulu | 2026-10-01 | 48.00 USD | 48.00 USD | 48.00 USD | 0.00 USD |  |" in table
        assert "| acme | 2026-10-01 | 9.60 EUR | 9.60 EUR | 9.60 EUR | 0.00 EUR |  |" in table
        assert metadata["rows that need somebody"].value == 0
        assert str(metadata["plot"].value).startswith("![")
        assert check.passed
        store = Store(company.settings.simulator_path)
        with store.transaction() as transaction:
            (invoice,) = [
                each
                for each in transaction.scan("invoice", newest_first=True)
                if each["metadata"].get("billing_push", "").startswith("zulu/")
            ]
            transaction.put({**invoice, "status": "void"})
        store.close()
        metadata, check = reconciled(instance)
    assert "| 0.00 USD | -48.00 USD | voided in stripe **!** |" in str(metadata["three-way totals"].value)
    assert not check.passed
    assert "zulu usd lines_stripe: 48.00 USD against 0.00 USD: voided in Stripe by hand" in str(
        check.description
    )
