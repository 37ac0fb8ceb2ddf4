"""The sources: what each row and line of an input becomes."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from billing_pipeline.contract.parsing import parse
from billing_pipeline.errors import SourceError
from billing_pipeline.ingest.sources import agent_trace, azure_llm
from billing_pipeline.ingest.sources.formats import Format, default_receipt, read_files
from billing_pipeline.ingest.sources.source_record import TraceOptions

START = datetime(2026, 1, 5, tzinfo=UTC)
AZURE = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2023-11-16 18:17:03.9799600,4808,10\n"
    "2023-11-16 18:17:03.9799600,4808,10\n"
    "2023-11-16 18:17:05.0000000,7,0\n"
    "broken,1\n"
)
AGENT_HEADER = ",".join(agent_trace.COLUMNS) + "\n"
AGENT = AGENT_HEADER + (
    "s1,root,0,0.0,n,opus,100,0,5,2.5,0.0,tool_use\n"
    "s1,root/a,0,0.0,n,haiku,50,40,3,,0.0,end_turn\n"
    "s1,root/a,1,4.0,n,haiku,60,60,0,1.0,0.0,end_turn\n"
    "s1,root,1,19.0,n,opus,120,100,7,1.0,0.0,end_turn\n"
    "s1,root,2,20.0,n,opus,10,100,7,1.0,0.0,end_turn\n"
)


def write(folder: Path, text: str, name: str = "input") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_an_azure_row_is_an_input_and_an_output_event(tmp_path: Path) -> None:
    """Equal rows are several requests; a class without tokens makes no event; a bad row is kept as it is."""
    options = TraceOptions()
    records = list(azure_llm.read(write(tmp_path, AZURE), options))
    events = [parse(record.payload) for record in records]
    assert [(record.line, event.quantity) for record, event in zip(records, events, strict=True)] == [
        (2, "4808"),
        (2, "10"),
        (3, "4808"),
        (3, "10"),
        (4, "7"),
        (5, None),
    ]
    assert len({event.id for event in events}) == 6
    assert events[0].correlation_id == events[1].correlation_id != events[2].correlation_id
    assert events[0].occurred_at == 1_700_158_623_979_960
    assert options.skipped == {"output": 1}
    assert records[5].payload == b"broken,1"


def test_a_second_reading_of_a_trace_is_the_same(tmp_path: Path) -> None:
    """A second import is a complete redelivery, wherever the file lies."""
    one, two = write(tmp_path, AZURE, "one"), write(tmp_path, AZURE, "two")
    first, second = azure_llm.read(one, TraceOptions()), azure_llm.read(two, TraceOptions())
    assert [record.payload for record in first] == [record.payload for record in second]


def test_a_dated_trace_can_be_shifted(tmp_path: Path) -> None:
    """Its first request is at the start asked for, the gaps stay."""
    records = list(azure_llm.read(write(tmp_path, AZURE), TraceOptions(start=START)))
    times = [parse(record.payload).occurred_at or 0 for record in records[:5]]
    assert times[0] == int(START.timestamp()) * 1_000_000
    assert times[4] - times[0] == 1_020_040


def test_cached_input_is_not_billed_as_uncached_too(tmp_path: Path) -> None:
    """`input_tokens` includes the cached prefix: the classes of a request add up to it."""
    options = TraceOptions(start=START)
    records = list(agent_trace.read(write(tmp_path, AGENT), options))
    found = [
        (
            record.line,
            json.loads(record.payload)["dimensions"]["token_class"],
            json.loads(record.payload)["quantity"],
        )
        for record in records[:-1]
    ]
    assert found == [
        (2, "input_uncached", "100"),
        (2, "output", "5"),
        (3, "input_uncached", "10"),
        (3, "input_cached", "40"),
        (3, "output", "3"),
        (4, "input_cached", "60"),
        (5, "input_uncached", "20"),
        (5, "input_cached", "100"),
        (5, "output", "7"),
    ]
    assert options.skipped == {"input_cached": 1, "input_uncached": 1, "output": 1}
    assert records[-1].payload.startswith(b"s1,root,2"), "more cached tokens than input is no request"


def test_a_sub_agent_follows_the_request_that_started_it(tmp_path: Path) -> None:
    """Its first request has the parent agent's latest as parent, and comes after that was answered."""
    records = agent_trace.read(write(tmp_path, AGENT), TraceOptions(start=START))
    events = [json.loads(record.payload) for record in records if record.payload.startswith(b"{")]
    parents = {event["correlation_id"]: event.get("parent_id") for event in events}
    assert parents == {
        "s1/root/0": None,
        "s1/root/a/0": "s1/root/0",
        "s1/root/a/1": "s1/root/a/0",
        "s1/root/1": "s1/root/0",
    }
    at = {event["correlation_id"]: datetime.fromisoformat(event["occurred_at"]) for event in events}
    assert (at["s1/root/a/0"] - at["s1/root/0"]).total_seconds() == 2.5
    assert (at["s1/root/a/1"] - at["s1/root/0"]).total_seconds() == 6.5


def test_sessions_lie_within_the_days_asked_for(tmp_path: Path) -> None:
    """Deterministically by the seed; customers too."""
    rows = "".join(f"s{n},root,0,0.0,n,opus,1,0,1,1.0,0.0,x\n" for n in range(200))
    path = write(tmp_path, AGENT_HEADER + rows)

    def events(seed: int) -> list[bytes]:
        options = TraceOptions(start=START, days=3, customers=4, seed=seed)
        return [record.payload for record in agent_trace.read(path, options)]

    assert events(1) == events(1) != events(2)
    found = [json.loads(payload) for payload in events(1)]
    days = {(datetime.fromisoformat(event["occurred_at"]) - START).days for event in found}
    assert days == {0, 1, 2}
    assert {event["customer_id"] for event in found} == {f"customer-00{n}" for n in (1, 2, 3, 4)}


@pytest.mark.parametrize("format_name", ["azure-llm", "agent-trace"])
def test_a_file_of_another_format_is_refused(tmp_path: Path, format_name: Format) -> None:
    """Before any of its rows is taken for an event."""
    with pytest.raises(SourceError, match="columns"):
        list(read_files(format_name, [write(tmp_path, "a,b\n1,2\n")], TraceOptions(start=START)))


def test_an_undated_trace_needs_a_start(tmp_path: Path) -> None:
    """And says so."""
    with pytest.raises(SourceError, match="--start"):
        list(read_files("agent-trace", [write(tmp_path, AGENT)], TraceOptions()))


def test_ndjson_lines_go_on_as_they_are(tmp_path: Path) -> None:
    """Blank lines are passed over, the line number stays."""
    path = write(tmp_path, '{"a":1}\r\n\n  {"b": 2}\nnonsense')
    found = [(record.line, record.payload) for record in read_files("ndjson", [path], TraceOptions())]
    assert found == [(1, b'{"a":1}'), (3, b'{"b": 2}'), (4, b"nonsense")]


@pytest.mark.parametrize(
    ("text", "payloads"),
    [
        ('{"id":1}\n{"id":2}\n', [(1, b'{"id":1}'), (2, b'{"id":2}')]),
        ('{\n "id": 1\n}\n', [(1, b'{\n "id": 1\n}')]),
        ('[{"id":1},\n {"id":2}]', [(1, b'{"id":1}'), (2, b'{"id":2}')]),
        ('[{"id":1},{"id":2}]\n[{"id":3}]', [(1, b'{"id":1}'), (1, b'{"id":2}'), (2, b'{"id":3}')]),
        ("[{", [(1, b"[{")]),
        ("", []),
    ],
)
def test_cloudevents_come_alone_in_lines_or_in_batches(
    tmp_path: Path, text: str, payloads: list[tuple[int, bytes]]
) -> None:
    """One document, one event a line, or arrays of events."""
    records = read_files("cloudevents", [write(tmp_path, text)], TraceOptions())
    assert [(record.line, record.payload) for record in records] == payloads


def test_history_is_received_when_it_occurred_and_events_now() -> None:
    """Where nobody says otherwise."""
    assert [default_receipt(name) for name in ("azure-llm", "agent-trace")] == ["occurred"] * 2
    assert [default_receipt(name) for name in ("ndjson", "cloudevents")] == ["now"] * 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """An unreadable file stops the import before anything is appended."""
    with pytest.raises(SourceError, match="absent"):
        list(read_files("ndjson", [tmp_path / "absent"], TraceOptions()))
