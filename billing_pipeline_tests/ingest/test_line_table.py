"""The table of lines that landing is given: a row per record, cut out of the bodies as they are."""

import pytest

from billing_pipeline.contract.log_lines import body_of
from billing_pipeline.errors import LakeError
from billing_pipeline.ingest.line_table import line_table
from billing_pipeline.ingest.queue import Batch, times_bytes


def test_lines_keep_their_offsets_receipt_times_and_producers() -> None:
    body = body_of([b"=a", "ü".encode()])
    stamped = Batch(7, 2, "gateway", 100, body.lines)
    imported = Batch(9, 1, "import", None, b"{}\n", times_bytes([200]))
    assert line_table([stamped, imported]).to_pylist() == [
        {"queue_offset": 7, "received_at": 100, "producer": "gateway", "line": "=a\n"},
        {"queue_offset": 8, "received_at": 100, "producer": "gateway", "line": "ü\n"},
        {"queue_offset": 9, "received_at": 200, "producer": "import", "line": "{}\n"},
    ]


def test_a_body_without_a_line_for_each_record_is_refused() -> None:
    with pytest.raises(LakeError, match="offset 3 has 2 records in 1 lines"):
        line_table([Batch(3, 2, "gateway", 100, b"{}\n")])
