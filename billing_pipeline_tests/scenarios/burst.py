"""A burst beyond what a gateway can take: its disk is made slow, and rude producers send without a pause."""

import http.client
import multiprocessing
import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from billing_pipeline_tests.scenarios.gateway_under_fire import (
    PATIENCE_SECONDS,
    free_port,
    made_event,
    post,
    serve,
)

BATCH_EVENTS = 2_000
_TOKEN = b"00000000-00000000"


@dataclass
class Told:
    """What came of the burst."""

    acknowledged: set[str] = field(default_factory=set)
    """Tokens of the batches that were acknowledged; each event's id is its batch's token and its place."""
    statuses: Counter[int] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    """Requests without an answer, by what was met instead."""
    seconds: float = 0.0
    peak_mb: float = 0.0
    """Most memory that the gateway ever had."""

    @property
    def offered_per_acknowledged(self) -> float:
        """How many times more was sent than could be taken."""
        return (self.statuses.total() + self.broken.total()) / max(1, len(self.acknowledged))


def burst(
    environment: dict[str, str],
    keys: Sequence[str],
    *,
    seconds: float,
    commit_seconds: float,
    producers: int = 64,
) -> Told:
    """Send for some seconds to a gateway whose every commit takes so long; stop it as one should."""
    told = Told()
    port = free_port()
    context = multiprocessing.get_context("forkserver")
    gateway = context.Process(target=serve_slowly, args=(environment, port, commit_seconds), daemon=True)
    gateway.start()
    try:
        _wait_until_ready(port)
        started = time.monotonic()
        threads = [
            threading.Thread(
                target=_produce,
                args=(told, port, keys[number % len(keys)], number, started + seconds),
                daemon=True,
            )
            for number in range(producers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds + PATIENCE_SECONDS)
            assert not thread.is_alive(), "a request hangs"
        told.seconds = time.monotonic() - started
        told.peak_mb = _peak_mb(gateway.pid or 0)
        gateway.terminate()
        gateway.join(PATIENCE_SECONDS)
        assert gateway.exitcode == 0
    finally:
        gateway.kill()
        gateway.join()
    return told


def serve_slowly(environment: dict[str, str], port: int, commit_seconds: float) -> None:
    """Be a gateway whose disk is slow."""
    from billing_pipeline.ingest.queue_writer import QueueWriter

    write_group = QueueWriter._write_group

    def slowly(writer: QueueWriter, *arguments: object) -> object:
        time.sleep(commit_seconds)
        return write_group(writer, *arguments)  # type: ignore[arg-type]  # whatever it was given

    QueueWriter._write_group = slowly  # type: ignore[method-assign,assignment]  # this process is the experiment
    serve(environment, port)


def _produce(told: Told, port: int, key: str, number: int, until: float) -> None:
    import msgspec

    events = [made_event(f"{_TOKEN.decode()}/{place}") for place in range(BATCH_EVENTS)]
    template = msgspec.json.encode(events)
    batch = 0
    while time.monotonic() < until:
        token = f"{number:08d}-{batch:08d}"
        batch += 1
        try:
            status = post(port, key, template.replace(_TOKEN, token.encode()))
        except (OSError, http.client.HTTPException) as error:
            told.broken[type(error).__name__] += 1
            continue
        told.statuses[status] += 1
        if status == http.client.ACCEPTED:
            told.acknowledged.add(token)


def _wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    raise AssertionError("the gateway does not get ready")


def _peak_mb(pid: int) -> float:
    """The peak resident memory of a process in MB; 0 where the system does not tell."""
    path = f"/proc/{pid}/status"
    if not os.path.exists(path):  # noqa: PTH110 - a file of the system, not of ours
        return 0.0
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - as above
        lines = dict(line.split(":", 1) for line in file if ":" in line)
    return int(lines["VmHWM"].split()[0]) / 1024
