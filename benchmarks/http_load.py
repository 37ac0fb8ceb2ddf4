"""Sends prepared HTTP requests over some kept-alive connections as fast as they are answered; a process of its own.

Plain sockets and one selector: a client library would take more of the two cores than what is measured.
"""

import json
import selectors
import socket
import sys
import time
from array import array
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass
class _Connection:
    socket: socket.socket
    sent_at: float = 0.0
    received: bytearray = field(default_factory=bytearray)


def main() -> None:
    """`http_load.py PORT CONNECTIONS FILE`: FILE has requests, each led by its length (eight bytes); tells JSON."""
    port, connections, path = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    requests = deque(_requests(path.read_bytes()))
    statuses: dict[str, int] = {}
    latencies = array("d")
    with selectors.DefaultSelector() as selector:
        for _ in range(min(connections, len(requests))):
            connection = _Connection(socket.create_connection(("127.0.0.1", port)))
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        started = time.perf_counter()
        waiting = 0
        for key in list(selector.get_map().values()):
            waiting += _send(key.data, requests)
        while waiting:
            for key, _ in selector.select():
                connection = key.data
                connection.received += connection.socket.recv(65536)
                status = _status(connection.received)
                if status is None:
                    continue
                latencies.append(time.perf_counter() - connection.sent_at)
                statuses[status] = statuses.get(status, 0) + 1
                connection.received.clear()
                waiting += _send(connection, requests) - 1
        seconds = time.perf_counter() - started
    ordered = sorted(latencies)
    print(
        json.dumps(
            {
                "seconds": seconds,
                "statuses": statuses,
                "p50_ms": ordered[len(ordered) // 2] * 1000,
                "p99_ms": ordered[len(ordered) * 99 // 100] * 1000,
            }
        )
    )


def _requests(data: bytes) -> list[bytes]:
    found = []
    place = 0
    while place < len(data):
        length = int.from_bytes(data[place : place + 8], "big")
        found.append(data[place + 8 : place + 8 + length])
        place += 8 + length
    return found


def _send(connection: _Connection, requests: deque[bytes]) -> int:
    if not requests:
        return 0
    connection.sent_at = time.perf_counter()
    connection.socket.sendall(requests.popleft())
    return 1


def _status(received: bytearray) -> str | None:
    """The status of a whole response; None while more of it has to come."""
    head = received.find(_HEAD_END)
    if head < 0:
        return None
    place = received.lower().find(_LENGTH, 0, head)
    length = int(received[place + len(_LENGTH) : received.find(b"\r", place)]) if place >= 0 else 0
    if len(received) < head + len(_HEAD_END) + length:
        return None
    return received[9:12].decode()


if __name__ == "__main__":
    main()
