"""How a gateway ends: told to, with requests under way; or because its queue has failed."""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline_tests.gateway.served import COMMAND, Served, read_answer

Make = Callable[..., dict[str, Any]]
Start = Callable[..., Served]
FAILING_SERVER = Path(__file__).parent / "failing_server.py"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[Served] = []

    def run(*command: str, **variables: str) -> Served:
        running.append(Served(tmp_path / "home", command or COMMAND, variables))
        return running[-1]

    yield run
    for each in running:
        each.close()


def test_requests_under_way_end_before_the_gateway_does(start: Start, event: Make) -> None:
    """Nothing new is taken meanwhile, and nobody is sent there any more; what was acknowledged is in the log."""
    served = start()
    assert served.send(event("first")) == 202
    body = json.dumps(event("second")).encode()
    with served.connect() as slow:
        slow.sendall(served.head(len(body)) + body[:10])
        assert served.get("/readyz") == 200
        served.process.send_signal(signal.SIGTERM)
        served.logged("draining")
        assert served.get("/readyz") == 503
        assert served.get("/healthz") == 200
        assert served.send(event("third")) == 503
        slow.sendall(body[10:])
        answer = read_answer(slow)
    assert answer.startswith(b"HTTP/1.1 202 ")
    assert b"connection: close" in answer.lower()
    assert served.wait() == 0
    assert served.next_offset() == 2


def test_a_request_that_does_not_end_keeps_the_gateway_for_a_bounded_time(start: Start) -> None:
    served = start(BILLING_GATEWAY_DRAIN_SECONDS="0")
    with served.connect() as slow:
        slow.sendall(served.head(100) + b"[")
        assert served.get("/readyz") == 200
        assert served.stop() == 0
    assert served.next_offset() == 0


def test_once_the_queue_has_failed_the_process_ends_with_status_70(start: Start, event: Make) -> None:
    """Without another acknowledgement; what was acknowledged before is in the log."""
    served = start(sys.executable, str(FAILING_SERVER))
    assert served.send(event("first")) == 202
    assert served.send(event("second")) == 503
    assert served.wait() == 70
    assert served.next_offset() == 1
    assert "the disk is gone" in served.log_path.read_text("utf-8")


def test_two_gateways_over_one_queue_take_turns(start: Start, event: Make) -> None:
    """Each acknowledges only what is in the log."""
    first, second = start(), start()
    for number in range(3):
        assert first.send(event(f"first-{number}")) == 202
        assert second.send(event(f"second-{number}")) == 202
    assert (first.stop(), second.stop()) == (0, 0)
    assert first.next_offset() == 6


def test_an_address_in_use_is_told(
    tmp_path: Path, in_process: Callable[..., Any], taken_address: tuple[str, int]
) -> None:
    host, port = taken_address
    done = in_process(["serve", "--host", host, "--port", port], {"BILLING_HOME": str(tmp_path / "home")})
    assert done.returncode == 1
    assert "cannot be listened on" in done.stderr


@pytest.fixture
def taken_address() -> Iterator[tuple[str, int]]:
    """An address that something listens on already."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        yield str(host), int(port)
