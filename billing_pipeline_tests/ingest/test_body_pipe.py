"""The pipe that hands a stretch of the log to the compute engine: everything once, and never a thread left over."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.ingest.body_pipe import body_pipe

BODY = b"x" * 3_000_000


def feeders() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("feeder")]


def test_the_bodies_come_out_whole_and_in_order(tmp_path: Path) -> None:
    with body_pipe(tmp_path / "lines", [b"first\n", BODY, b"\nlast\n"]) as path:
        assert path.read_bytes() == b"first\n" + BODY + b"\nlast\n"
    assert not path.exists()


@pytest.mark.parametrize("read_bytes", [0, 10])
def test_a_reader_may_stop_at_any_place(tmp_path: Path, read_bytes: int) -> None:
    """The feeder ends with the block, whether the reader took a part or nothing at all."""
    with body_pipe(tmp_path / "lines", [BODY]) as path:
        if read_bytes:
            with path.open("rb", buffering=0) as file:
                assert len(file.read(read_bytes)) == read_bytes
    assert feeders() == []


def test_the_readers_own_error_is_the_one_that_is_told(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="mine"), body_pipe(tmp_path / "lines", [BODY]):
        raise RuntimeError("mine")
    assert feeders() == []


def test_a_failure_to_get_the_bodies_is_told(tmp_path: Path) -> None:
    """A reader would else take what it got for all there is."""

    def bodies() -> Iterator[bytes]:
        yield b"first\n"
        raise ValueError("no second body")

    with pytest.raises(ValueError, match="no second body"), body_pipe(tmp_path / "lines", bodies()) as path:
        path.read_bytes()


def test_a_plain_file_does_where_the_system_has_no_named_pipes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "mkfifo")
    with body_pipe(tmp_path / "lines", [b"one\n", b"two\n"]) as path:
        assert path.read_bytes() == b"one\ntwo\n"
