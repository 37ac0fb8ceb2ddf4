"""`billing rate` answers line for line, at once, whatever stands before or between the lines."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from billing_pipeline.cli import billing as command
from billing_pipeline.terminal.rate_report import lines_as_they_come

LINE = b'{"charge": {"model": "per_unit", "unit_price": 2}, "quantity": %d, "currency": "usd"}'
MARK = b"\xef\xbb\xbf"
PROCESS_SECONDS = 60


class Pieces:
    """A stream that gives these pieces, one a read."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)

    def read1(self, size: int, /) -> bytes:
        piece = next(self._pieces, b"")
        assert len(piece) <= size
        return piece


def lines_of(*pieces: bytes) -> list[bytes | None]:
    return [line for lines in lines_as_they_come(Pieces(*pieces)) for line in lines]


def rate(content: bytes) -> Result:
    return CliRunner().invoke(command, ["rate"], input=content, catch_exceptions=False)


def test_answers_stand_in_the_order_of_the_lines_and_faults_do_not_change_the_status() -> None:
    """An empty line, a broken one and one without its end have an answer of their own."""
    done = rate(b"\n".join([LINE % 1, b"", b"{", LINE % 2, LINE % 3]))
    answers = [json.loads(line) for line in done.output.splitlines()]
    assert [answer.get("rounded") for answer in answers] == ["2.00", None, None, "4.00", "6.00"]
    assert all("field" in answers[index]["error"] for index in (1, 2))
    assert done.exit_code == 0


def test_no_lines_have_no_answers() -> None:
    """Nothing on stdin is no fault."""
    done = rate(b"")
    assert (done.exit_code, done.output) == (0, "")


@pytest.mark.parametrize("cut", range(len(MARK) + 1))
def test_a_byte_order_mark_is_left_out_however_it_comes(cut: int) -> None:
    """In pieces, alone, or with the first line; what follows is read."""
    pieces = [piece for piece in (MARK[:cut], MARK[cut:], b"1\n", b"2\n") if piece]
    assert lines_of(*pieces) == [b"1", b"2"]
    assert lines_of(MARK + b"1\n", b"2\n") == [b"1", b"2"]


def test_what_only_begins_like_a_byte_order_mark_is_a_line() -> None:
    """At the end of the stream, too; and a mark further on is the line's own."""
    assert lines_of(MARK[:2]) == [MARK[:2]]
    assert lines_of(MARK[:1], b"x\n") == [MARK[:1] + b"x"]
    assert lines_of(b"1\n", MARK + b"2\n") == [b"1", MARK + b"2"]
    assert lines_of(MARK) == []


def test_a_line_that_is_too_long_is_one_error_between_its_neighbours() -> None:
    """Also as the last one, without its end."""
    long = b"x" * 1_500_000
    done = rate(b"\n".join([LINE % 1, long, LINE % 2, long]))
    answers = [json.loads(line) for line in done.output.splitlines()]
    assert [answer.get("rounded") for answer in answers] == ["2.00", None, "4.00", None]
    assert done.exit_code == 0


def test_a_line_is_answered_before_the_next_one_has_come() -> None:
    """A program that asks and waits gets its answer while stdin stays open."""
    code = "from billing_pipeline.cli import billing; billing.main(['rate'])"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for quantity in (1, 2):
            process.stdin.write(LINE % quantity + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["amount"] == str(2 * quantity)
        process.stdin.close()
        assert process.wait(PROCESS_SECONDS) == 0


def test_a_closed_stdin_is_an_error(
    tmp_path: Path, billing: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one thing that ends with status 1."""
    monkeypatch.setattr(sys, "stdin", None)
    done = billing(tmp_path, "rate")
    assert (done.returncode, done.stdout) == (1, "")
    assert "stdin" in done.stderr
