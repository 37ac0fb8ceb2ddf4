"""A gateway as a process: slow, large and many clients are bounded, and keys are read while it runs."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zstandard

from billing_pipeline.control.api_keys import api_keys, revoke_key
from billing_pipeline.control.clock import now_us
from billing_pipeline.gateway import limits
from billing_pipeline_tests.gateway.served import POLL_SECONDS, WAIT_SECONDS, Served, read_answer

if TYPE_CHECKING:
    import socket

Make = Callable[..., dict[str, Any]]
MIB = 1 << 20


def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that comes by itself."""
    for _ in range(int(WAIT_SECONDS / POLL_SECONDS)):
        if is_so():
            return
        time.sleep(POLL_SECONDS)
    raise AssertionError


def test_a_key_is_known_and_refused_while_the_gateway_runs(served: Served, event: Make) -> None:
    """Soon after it was issued, and soon after it was revoked."""
    key = served.issue("late")
    until(lambda: served.send(event(), key) == 202)
    [key_id] = [each.key_id for each in api_keys(served.control) if each.name == "late"]
    revoke_key(served.control, key_id, now_us=now_us())
    until(lambda: served.send(event(), key) == 401)


def test_the_queues_clock_moves_on_without_events(served: Served) -> None:
    """So that days close though nothing comes."""
    from billing_pipeline.ingest.sqlite_queue import SqliteQueue

    queue = SqliteQueue(served.settings.queue_path)
    before = queue.clock()
    until(lambda: queue.clock() > before)


def test_a_slow_body_is_given_up(served: Served, event: Make) -> None:
    """With an answer, and the connection is closed."""
    with served.connect() as slow:
        slow.sendall(served.head(1000) + b"[")
        answer = read_answer(slow)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"body_too_slow"' in answer
    assert served.send(event()) == 202


def test_slow_headers_are_given_up(served: Served) -> None:
    """As is a connection on which nothing is sent, or only empty lines after a request."""
    with served.connect() as slow, served.connect() as silent, served.connect() as empty:
        empty.sendall(b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n")
        while not empty.recv(65_536).endswith(b'{"alive":true}'):
            pass
        empty.sendall(b"\r\n")
        slow.sendall(served.head(1000)[:-2])
        for connection in (slow, silent, empty):
            assert read_answer(connection).startswith(b"HTTP/1.1 408 ")


def test_endless_headers_are_given_up(served: Served) -> None:
    with served.connect() as connection:
        try:
            connection.sendall(served.head(0)[:-2] + b"X-Long: " + b"x" * (4 * limits.HEAD_BYTES))
        except (BrokenPipeError, ConnectionResetError):
            return
        assert not read_answer(connection).startswith(b"HTTP/1.1 2")


def test_what_is_no_http_is_refused(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        assert read_answer(connection).startswith(b"HTTP/1.1 400 ")


def test_a_body_said_to_be_too_large_is_refused_before_it_comes(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(served.head(limits.WIRE_BYTES + 1, "Expect: 100-continue"))
        answer = read_answer(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_of_unknown_length_is_read_up_to_the_limit(served: Served, event: Make) -> None:
    """In chunks."""
    head = served.head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    body = json.dumps(event()).encode()
    with served.connect() as connection:
        pieces = [b"%x\r\n%b\r\n" % (1, body[place : place + 1]) for place in range(len(body))]
        connection.sendall(
            head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + b"".join(pieces) + b"0\r\n\r\n"
        )
        assert read_answer(connection).startswith(b"HTTP/1.1 202 ")
    with served.connect() as connection:
        connection.sendall(head)
        piece = b"%x\r\n%b\r\n" % (MIB, b" " * MIB)
        try:
            for _ in range(16):
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert b"202" not in read_answer(connection)[:20]
    assert served.send(event()) == 202


def test_one_connection_too_many_is_refused(served: Served, event: Make) -> None:
    """And those that are there go on."""
    until(lambda: served.send(event()) == 202)
    connections = [served.connect() for _ in range(45)]
    try:
        answers = [read_answer(connection) for connection in connections[-3:]]
    finally:
        for connection in connections:
            connection.close()
    assert all(answer.startswith((b"HTTP/1.1 503 ", b"HTTP/1.1 408 ")) or not answer for answer in answers)
    assert any(b'"too_many_connections"' in answer for answer in answers)
    until(lambda: _is_taken(served, event()))


def test_memory_is_bounded_whatever_clients_send(served: Served, event: Make) -> None:
    """Large bodies that never end, and bombs, on as many connections as there may be."""
    until(lambda: _is_taken(served, event()))
    before = peak_bytes(served)
    bomb = zstandard.compress(b"\0" * (64 * MIB))
    stalled: list[socket.socket] = []
    try:
        for number in range(30):
            connection = served.connect()
            stalled.append(connection)
            try:
                if number % 3:
                    connection.sendall(served.head(limits.WIRE_BYTES) + b" " * (limits.WIRE_BYTES - 1))
                else:
                    connection.sendall(
                        served.head(len(bomb), "Content-Encoding: zstd", "Connection: close") + bomb
                    )
            except OSError:
                continue
        answers = [read_answer(connection)[:13] for connection in stalled]
    finally:
        for connection in stalled:
            connection.close()
    assert {*answers} <= {b"HTTP/1.1 408 ", b"HTTP/1.1 413 ", b"HTTP/1.1 503 ", b""}
    assert b"HTTP/1.1 413 " in answers
    assert peak_bytes(served) - before < 256 * MIB
    until(lambda: _is_taken(served, event()))


def peak_bytes(served: Served) -> int:
    """The most memory that the process has held."""
    status = Path(f"/proc/{served.process.pid}/status").read_text("ascii")
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def _is_taken(served: Served, body: object) -> bool:
    try:
        return served.send(body) == 202
    except OSError:
        return False
