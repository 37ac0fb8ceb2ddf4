"""The spool on disk: what was taken over is given back, whatever a crash or a damage left of the files."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_pipeline.emit.disk_spool import DiskSpool
from billing_pipeline.emit.spool_frames import HEADER_BYTES
from billing_pipeline.errors import ClientClosedError, SpoolError, SpoolFullError, SpoolLockedError


def opened(directory: Path, told: list[str] | None = None, **others: int) -> DiskSpool:
    given = {"limit_bytes": 1 << 20, "segment_bytes": 1 << 16, "slots": 1} | others
    return DiskSpool(
        directory, **given, steady_seconds=lambda: 0.0, told=([] if told is None else told).append
    )


def left_by_crash(directory: Path, spool: DiskSpool) -> Path:
    """The directory as it is while the spool is open: as a process that is killed leaves it."""
    del spool
    copy = Path(tempfile.mkdtemp(dir=directory.parent))
    shutil.copytree(directory, copy, dirs_exist_ok=True)
    return copy


def payloads(count: int) -> list[bytes]:
    return [b'{"number": %d}' % number for number in range(count)]


def test_events_come_back_in_order_until_they_are_settled(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append(payloads(5))
    assert spool.peek(3, 1000) == payloads(5)[:3]
    spool.settle(2)
    assert spool.peek(10, 1000) == payloads(5)[2:]
    assert (spool.waiting, spool.waiting_bytes) == (3, sum(map(len, payloads(5)[2:])))
    spool.close()


def test_a_peek_keeps_to_its_bytes_but_gives_one_event_at_least(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append([b"x" * 100, b"y", b"z"])
    assert spool.peek(10, 10) == [b"x" * 100]
    assert spool.peek(10, 101) == [b"x" * 100, b"y"]
    spool.close()


def test_small_peeks_come_through_a_large_segment_in_order(tmp_path: Path) -> None:
    """Though each reads only as much of the file as it may give, also across a damage and what is settled."""
    first = opened(tmp_path)
    first.append(payloads(30))
    first.peek(10, 10_000)
    first.settle(10)
    first.close()
    segment = next(tmp_path.glob("*.spool"))
    frame = HEADER_BYTES + len(payloads(30)[-1])
    data = segment.read_bytes()
    start = len(data) - 15 * frame
    segment.write_bytes(data[:start] + bytes(5 * frame) + data[start + 5 * frame :])
    spool = opened(tmp_path, segment_bytes=100)
    spool.append([b"in another segment"])
    found: list[bytes] = []
    while spool.waiting:
        found += spool.peek(2, 20)[:1]
        spool.settle(1)
    assert found == [*payloads(30)[10:15], *payloads(30)[20:], b"in another segment"]
    spool.close()


def test_the_next_spool_of_the_directory_has_what_was_not_settled(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.append(payloads(5))
    first.peek(2, 1000)
    first.settle(2)
    first.close()
    second = opened(tmp_path)
    second.append([b"new"])
    assert (second.waiting, second.peek(10, 1000)) == (4, [*payloads(5)[2:], b"new"])
    second.settle(4)
    second.close()
    assert not list(tmp_path.glob("*.spool"))
    third = opened(tmp_path)
    third.append([b"newer"])
    assert third.peek(10, 1000) == [b"newer"]
    third.close()


def test_segments_are_removed_once_they_are_settled(tmp_path: Path) -> None:
    spool = opened(tmp_path, segment_bytes=100)
    for payload in payloads(20):
        spool.append([payload])
    before = len(list(tmp_path.glob("*.spool")))
    spool.peek(15, 10_000)
    spool.settle(15)
    assert 1 < len(list(tmp_path.glob("*.spool"))) < before
    assert spool.peek(20, 10_000) == payloads(20)[15:]
    spool.close()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["append", "settle", "reopen", "crash"]), st.integers(1, 5)), max_size=25
    ),
    st.integers(40, 200),
)
def test_a_spool_is_a_queue_that_survives_reopening_and_crashes(
    turns: list[tuple[str, int]], segment_bytes: int
) -> None:
    """Whatever is appended comes out once, in order, however often the process ends."""
    base = Path(tempfile.mkdtemp())
    directory = base / "spool"
    spool = opened(directory, segment_bytes=segment_bytes)
    expected: list[bytes] = []
    made = 0
    try:
        for turn, count in turns:
            if turn == "append":
                added = [b"event %d" % (made + number) for number in range(count)]
                made += count
                spool.append(added)
                expected += added
            elif turn == "settle" and expected:
                done = len(spool.peek(count, 1000))
                spool.settle(done)
                del expected[:done]
            elif turn == "reopen":
                spool.close()
                spool = opened(directory, segment_bytes=segment_bytes)
            elif turn == "crash":
                copy = left_by_crash(directory, spool)
                spool.close()
                directory = copy
                spool = opened(directory, segment_bytes=segment_bytes)
            assert spool.waiting == len(expected)
            assert spool.peek(1000, 100_000) == expected
    finally:
        spool.close()
        shutil.rmtree(base)


def test_a_tail_torn_at_any_byte_of_the_last_event_is_cut_off_and_told_and_the_rest_is_kept(
    tmp_path: Path,
) -> None:
    spool = opened(tmp_path / "whole")
    spool.append(payloads(3))
    segment = next((tmp_path / "whole").glob("*.spool"))
    whole = segment.read_bytes()
    last = HEADER_BYTES + len(payloads(3)[-1])
    for cut in range(1, last + 1):
        torn = tmp_path / f"torn-{cut}"
        torn.mkdir()
        (torn / segment.name).write_bytes(whole[:-cut])
        told: list[str] = []
        again = opened(torn, told)
        again.append([b"next"])
        assert again.peek(10, 1000) == [*payloads(2), b"next"]
        assert len(told) == (cut < last)
        again.close()
        shutil.rmtree(torn)
    spool.close()


def test_a_byte_changed_anywhere_loses_no_other_event_and_is_told(tmp_path: Path) -> None:
    spool = opened(tmp_path / "whole")
    spool.append(payloads(3))
    segment = next((tmp_path / "whole").glob("*.spool"))
    whole = segment.read_bytes()
    frame = HEADER_BYTES + len(payloads(3)[0])
    for at in range(frame, 2 * frame):
        changed = tmp_path / f"changed-{at}"
        changed.mkdir()
        (changed / segment.name).write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        told: list[str] = []
        again = opened(changed, told)
        assert again.peek(10, 1000) == [payloads(3)[0], payloads(3)[2]]
        assert again.waiting == 2
        assert len(told) == 1
        again.settle(2)
        again.append([b"next"])
        assert again.peek(10, 1000) == [b"next"]
        again.settle(1)
        again.close()
        assert [path.suffix for path in changed.glob("0*")] == [".damaged"]
    spool.close()


@pytest.mark.parametrize("content", [b"", b"abc", b"\x07" * 12])
def test_a_settled_number_that_cannot_be_read_sends_again_and_loses_nothing(
    tmp_path: Path, content: bytes
) -> None:
    spool = opened(tmp_path)
    spool.append(payloads(3))
    spool.peek(1, 1000)
    spool.settle(1)
    spool.close()
    (tmp_path / "settled").write_bytes(content)
    again = opened(tmp_path)
    assert again.peek(10, 1000) == payloads(3)
    again.close()


def test_a_settled_number_beyond_the_files_swallows_no_new_event(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append(payloads(3))
    spool.peek(3, 1000)
    spool.settle(3)
    spool.append(payloads(1))
    spool.close()
    for path in tmp_path.glob("*.spool"):
        path.unlink()
    again = opened(tmp_path)
    again.append([b"new"])
    assert again.peek(10, 1000) == [b"new"]
    again.close()


def test_a_full_spool_takes_all_or_nothing(tmp_path: Path) -> None:
    spool = opened(tmp_path, limit_bytes=20)
    spool.append([b"x" * 15])
    with pytest.raises(SpoolFullError) as caught:
        spool.append([b"a", b"b" * 10])
    assert (caught.value.waiting_bytes, caught.value.limit_bytes) == (15, 20)
    spool.append([b"y" * 5])
    assert spool.peek(10, 1000) == [b"x" * 15, b"y" * 5]
    spool.close()


def test_two_spools_never_share_a_directory_and_slots_give_each_its_own(tmp_path: Path) -> None:
    only = opened(tmp_path / "one")
    with pytest.raises(SpoolLockedError) as caught:
        opened(tmp_path / "one")
    assert caught.value.directory == str(tmp_path / "one")
    only.close()
    opened(tmp_path / "one").close()
    pair = [opened(tmp_path / "two", slots=2) for _ in range(2)]
    assert pair[0].directory != pair[1].directory
    with pytest.raises(SpoolLockedError):
        opened(tmp_path / "two", slots=2)
    for spool in pair:
        spool.close()


def test_a_write_that_fails_takes_nothing_over_and_the_spool_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = opened(tmp_path)
    spool.append([b"before"])
    with monkeypatch.context() as patched:
        patched.setattr("os.write", _half_then_full_disk())
        with pytest.raises(SpoolError, match="No space left"):
            spool.append([b"lost"])
    spool.append([b"after"])
    assert spool.peek(10, 1000) == [b"before", b"after"]
    spool.close()


def test_a_sync_that_fails_stops_the_spool_because_nobody_knows_what_the_disk_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    spool = opened(tmp_path)
    spool.append([b"before"])
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", fail)
        with pytest.raises(SpoolError, match="Input/output error"):
            spool.append([b"doubtful"])
    with pytest.raises(SpoolError, match="Input/output error"):
        spool.append([b"after"])
    assert spool.peek(10, 1000) == [b"before"]
    spool.close()
    with pytest.raises(ClientClosedError):
        spool.append([b"after"])


def _half_then_full_disk() -> object:
    import os

    write, turns = os.write, iter([True, False])

    def half(handle: int, data: bytes) -> int:
        if next(turns):
            return write(handle, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    return half
