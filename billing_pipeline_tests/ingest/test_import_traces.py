"""The two real traces: the sums of tokens by class are those of the files."""

import csv
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.registry import Registry
from billing_pipeline.ingest.import_summary import ImportSummary
from billing_pipeline.ingest.importing import import_records
from billing_pipeline.ingest.receipt_times import ReceiptTimes
from billing_pipeline.ingest.sources.formats import Format, read_files
from billing_pipeline.ingest.sources.source_record import TraceOptions

TRACES = Path(os.environ.get("BILLING_TRACES", Path(__file__).resolve().parents[3] / "shared" / "traces"))
AZURE = TRACES / "AzureLLMInferenceTrace_code.csv"
AGENT = TRACES / "kvct_agent_requests.csv"
NOW_US = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp()) * 1_000_000

needs_traces = pytest.mark.skipif(
    not (AZURE.is_file() and AGENT.is_file()),
    reason=f"the public traces are not at {TRACES}; set BILLING_TRACES to their folder",
)


class CountingQueue:
    """Counts events and their identities instead of keeping the records."""

    def __init__(self) -> None:
        self.count = 0
        self.identities: set[int | None] = set()

    def clock(self) -> int:
        return 0

    def keep_turn(self) -> AbstractContextManager[None]:
        return nullcontext()

    def append(
        self, producer: str, records: Sequence[LogRecord], received_at: Sequence[int] | None = None
    ) -> range:
        assert producer
        assert received_at is not None
        first = self.count
        self.count += len(records)
        self.identities.update(record.key_hash for record in records if record.kind == "usage")
        return range(first, self.count)


def run(format_name: Format, file: Path, options: TraceOptions) -> tuple[ImportSummary, CountingQueue]:
    queue = CountingQueue()
    summary = import_records(
        read_files(format_name, [file], options),
        queue,
        registry=Registry([]),
        lateness=lambda _occurred, _received: "on_time",
        wall_clock_us=NOW_US,
        receipt=ReceiptTimes("occurred"),
        register=True,
    )
    return summary, queue


@needs_traces
def test_the_azure_trace_is_imported_whole() -> None:
    """Tokens by class equal the columns' sums, every identity is distinct, nothing is invalid."""
    with AZURE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    summary, queue = run("azure-llm", AZURE, TraceOptions())
    assert summary.quantities == {
        ("token", "input_uncached"): Decimal(sum(int(row["ContextTokens"]) for row in rows)),
        ("token", "output"): Decimal(sum(int(row["GeneratedTokens"]) for row in rows)),
    }
    assert summary.outcomes == {"usage": 2 * len(rows)}
    assert len(queue.identities) == 2 * len(rows)


@needs_traces
def test_the_agent_trace_is_imported_whole() -> None:
    """Cached and uncached input add up to the file's input, and what has no tokens is counted."""
    sums: Counter[str] = Counter()
    empty: Counter[str] = Counter()
    with AGENT.open(newline="") as file:
        for row in csv.DictReader(file):
            cached = int(row["cached_prefix_tokens"])
            classes = {
                "input_uncached": int(row["input_tokens"]) - cached,
                "input_cached": cached,
                "output": int(row["output_tokens"]),
            }
            sums.update(classes)
            empty.update(name for name, tokens in classes.items() if tokens == 0)
    options = TraceOptions(start=datetime(2026, 1, 5, tzinfo=UTC), days=28)
    summary, queue = run("agent-trace", AGENT, options)
    assert summary.quantities == {("token", name): Decimal(tokens) for name, tokens in sums.items()}
    assert options.skipped == empty
    assert summary.outcomes == {"usage": len(queue.identities)}
    assert summary.outcomes["usage"] + empty.total() == 3 * 49_334
