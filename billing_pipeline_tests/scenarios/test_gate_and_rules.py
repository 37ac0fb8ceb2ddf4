"""What stands in the way of a close: a day whose records may still come, nothing at all, rules that were edited."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from billing_pipeline.settings import PROJECT_ROOT

Run = Callable[..., str]
Main = Callable[..., Any]

EVENT = (
    '{{"type":"usage","schema_version":2,"source":"app","id":"{0}","customer_id":"acme","project_id":"p",'
    '"occurred_at":"{1}","unit":"token","quantity":"1000",'
    '"dimensions":{{"model":"atlas-large","token_class":"output"}},"correlation_id":"c"}}\n'
)
HASH_LENGTH = 64
IMPORT = ("import", "--format", "ndjson", "--received-at", "occurred", "--register")


def test_a_day_that_may_still_get_records_is_closed_only_after_the_queue_was_advanced(
    home: Path, tmp_path: Path, billing: Run, refused: Run, hashes: Callable[..., dict[str, str]]
) -> None:
    """The refusal names the instant that is missing, where the clock stands, and the command that mends it."""
    file = tmp_path / "events.ndjson"
    file.write_text(EVENT.format("e-1", "2024-01-30T12:00:00Z") + EVENT.format("e-2", "2024-01-31T23:30:00Z"))
    billing(home, *IMPORT, file)

    message = refused(home, "close", "--through", "2024-01-31")
    assert "2024-01-31 cannot be closed" in message
    assert "records received before 2024-02-01T01:00:00.000000Z may still come" in message
    assert "the queue's clock stands at 2024-01-31T23:30:00.000000Z" in message
    command = "billing queue advance --to 2024-02-01T01:00:00.000000Z"
    assert command in message
    assert hashes(home) == {}

    billing(home, *command.split()[1:])
    assert "Closed 2 days, 2024-01-30 to 2024-01-31" in billing(home, "close", "--through", "2024-01-31")
    assert "0.03 USD" in billing(home, "invoice", "show", "acme", "2024-01")
    assert "Nothing to close" in billing(home, "close", "--through", "2024-01-31")


def test_a_close_of_an_empty_home_says_that_there_is_nothing(home: Path, billing: Run) -> None:
    """Without a log no day is due, and that is no error."""
    assert "Nothing to close" in billing(home, "close", "--through", "2024-01-31")


def test_a_rule_book_edited_after_its_use_is_refused_with_both_hashes(
    home: Path, tmp_path: Path, billing: Run, billing_main: Main
) -> None:
    """A price edited in place would make the past another one: the next close says so, and does nothing."""
    file = tmp_path / "events.ndjson"
    file.write_text(EVENT.format("e-1", "2024-01-30T12:00:00Z"))
    billing(home, *IMPORT, file)
    billing(home, "queue", "advance", "--to", "2024-02-01T01:00:00Z")
    billing(home, "close", "--through", "2024-01-30")

    books = tmp_path / "data" / "rule_books"
    shutil.copytree(PROJECT_ROOT / "data" / "rule_books", books)
    book = books / "2023-11-01.yaml"
    book.write_text(book.read_text().replace("unit_price: 15.00}", "unit_price: 16.00}", 1))
    here = {"BILLING_DATA": str(tmp_path / "data")}
    edited = billing_main(home, "close", "--through", "2024-01-31", changed=here)
    assert edited.returncode == 1, edited.stdout
    assert "Traceback" not in edited.stderr
    assert "rule book '2023-11-01' has been used with content hash" in edited.stderr
    words = edited.stderr.replace(",", " ").replace(";", " ").split()
    assert len({word for word in words if len(word) == HASH_LENGTH}) == 2
    assert "new version" in edited.stderr
    sick = billing_main(home, "doctor", changed=here)
    assert sick.returncode == 1
    assert "mend:" in sick.stdout
    assert "Closed 1 days" in billing(home, "close", "--through", "2024-01-31")
