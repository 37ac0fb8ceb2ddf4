"""The queue in PostgreSQL when servers and processes fail: what was acknowledged is there, and nothing is reordered."""

import random
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator

import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.errors import QueueError
from billing_pipeline.ingest.postgres_queue import PostgresQueue
from billing_pipeline.ingest.queue import Queue
from billing_pipeline_tests.ingest.private_cluster import PrivateCluster
from billing_pipeline_tests.ingest.queue_stores import SchemaStore

PATIENCE_SECONDS = 60
PRODUCER = textwrap.dedent("""
    import sys, threading
    from billing_pipeline.contract.log import LogRecord
    from billing_pipeline.ingest.postgres_queue import PostgresQueue
    url, name, turns = sys.argv[1], sys.argv[2], int(sys.argv[3])
    queue = PostgresQueue(url)
    def produce(worker):
        for turn in range(turns):
            records = [LogRecord(kind="usage", payload="x" * 300, id=f"{name}/{worker}/{turn}/{i}") for i in range(3)]
            found = queue.append(name, records)
            sys.stdout.write(f"{found.start} {name}/{worker}/{turn}\\n")
            sys.stdout.flush()
    threads = [threading.Thread(target=produce, args=(worker,)) for worker in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    queue.close()
    """)


def start(url: str, name: str, turns: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", PRODUCER, url, name, str(turns)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def acknowledged(lines: list[str]) -> dict[int, str]:
    """The name by first offset; a line that a kill cut short is none that anybody has read."""
    told = (line.rstrip("\n").split(" ", 1) for line in lines if line.endswith("\n"))
    return {int(offset): name for offset, name in told}


def stored(queue: Queue, offset: int = 0) -> list[str | None]:
    """The ids from an offset on; reading itself proves that there is no gap."""
    found: list[str | None] = []
    while batches := queue.read_from(offset, 100_000):
        assert batches[0].first_offset == offset
        found += [record.id for batch in batches for record in batch.records()]
        offset = batches[-1].next_offset
    return found


def follow(queue: Queue, total: int) -> list[str | None]:
    """The ids as a reader meets them that asks for what is new again and again, until it has so many."""
    followed: list[str | None] = []
    last_received_at, deadline = 0, time.monotonic() + PATIENCE_SECONDS + total / 100
    while len(followed) < total and time.monotonic() < deadline:
        for batch in queue.read_from(len(followed), 100_000):
            assert batch.first_offset == len(followed)
            assert batch.first_received_at >= last_received_at
            followed += [record.id for record in batch.records()]
            last_received_at = batch.last_received_at
        clock = queue.clock()
        for batch in queue.read_from(queue.next_offset(), 1):
            assert batch.first_received_at >= clock
    return followed


def check_followed(schema: SchemaStore, processes: int, turns: int) -> None:
    total = processes * 4 * turns * 3
    producers = [start(schema.url, f"process {i}", turns) for i in range(processes)]
    try:
        queue = schema.open()
        followed = follow(queue, total)
        outputs = [producer.communicate(timeout=PATIENCE_SECONDS)[0] for producer in producers]
    finally:
        for producer in producers:
            producer.kill()
            producer.wait()
    told = acknowledged([line for output in outputs for line in output.splitlines(keepends=True)])
    assert len(followed) == total
    assert followed == stored(queue)
    assert len(told) == total // 3
    for offset, name in told.items():
        assert followed[offset : offset + 3] == [f"{name}/{i}" for i in range(3)]


def test_a_reader_that_follows_by_offset_never_meets_a_gap_or_another_order(schema: SchemaStore) -> None:
    """Three processes of four threads append while it reads; receipt times never go back either."""
    check_followed(schema, processes=3, turns=40)


@pytest.mark.torture
def test_a_reader_follows_many_processes_for_long(schema: SchemaStore) -> None:
    check_followed(schema, processes=8, turns=1500)


def test_a_process_killed_at_any_moment_loses_nothing_that_it_acknowledged(schema: SchemaStore) -> None:
    chance = random.Random(8)
    told: dict[int, str] = {}
    for life in range(3):
        process = start(schema.url, f"life {life}", 1_000_000)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(chance.randrange(1, 100))]
        process.kill()
        rest, _ = process.communicate()
        told |= acknowledged(lines + rest.splitlines(keepends=True))
    queue = schema.open()
    # Its transaction ends with its connection, so nobody has to wait for what it had locked.
    end = queue.append("after", [LogRecord(kind="usage", payload="{}", id="after")]).start
    found = stored(queue)
    assert (len(found), found[-1]) == (end + 1, "after")
    lost = [
        name
        for offset, name in told.items()
        if found[offset : offset + 3] != [f"{name}/{i}" for i in range(3)]
    ]
    print(f"{len(told)} appends acknowledged, {len(lost)} of them lost")  # noqa: T201
    assert lost == []


class Load:
    """Threads that append one batch after the other, and note what was acknowledged and what was refused."""

    def __init__(self, queue: PostgresQueue, threads: int) -> None:
        self.told: dict[int, str] = {}
        self.refused: list[QueueError] = []
        self._queue = queue
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._produce, args=(i,)) for i in range(threads)]
        for thread in self._threads:
            thread.start()

    def _produce(self, worker: int) -> None:
        turn = 0
        while not self._enough.is_set():
            name = f"{worker}/{turn}"
            record = LogRecord(kind="usage", payload="x" * 500, id=name)
            turn += 1
            try:
                self.told[self._queue.append("load", [record]).start] = name
            except QueueError as error:
                self.refused.append(error)
                self._enough.wait(0.01)

    def wait_for_more(self, appends: int) -> None:
        """Until so many more are acknowledged."""
        goal, deadline = len(self.told) + appends, time.monotonic() + PATIENCE_SECONDS
        while len(self.told) < goal:
            assert time.monotonic() < deadline, f"nothing is acknowledged any more: {self.refused[-1:]}"
            time.sleep(0.005)

    def stop(self) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture(scope="module")
def cluster() -> Iterator[PrivateCluster]:
    made = PrivateCluster()
    try:
        made.start()
        yield made
    finally:
        made.remove()


def check_stops(cluster: PrivateCluster, stops: int, appends: int) -> None:
    chance = random.Random(3)
    with PostgresQueue(cluster.url) as queue:
        before = queue.next_offset()
        load = Load(queue, threads=8)
        try:
            for _ in range(stops):
                load.wait_for_more(chance.randrange(1, appends))
                cluster.stop("immediate")
                cluster.start()
                load.wait_for_more(1)
        finally:
            load.stop()
        found = stored(queue, before)
    lost = [name for offset, name in load.told.items() if found[offset - before] != name]
    unacknowledged = len(found) - len(load.told)
    print(  # noqa: T201
        f"{stops} immediate stops: {len(load.told)} acknowledged, {len(lost)} of them lost; {len(load.refused)} "
        f"refused, of which {unacknowledged} are stored"
    )
    assert lost == []
    # What is stored without an acknowledgement was told as unknown, to be sent again.
    assert unacknowledged <= sum("unknown" in str(error) for error in load.refused)


def test_an_immediate_stop_of_the_server_loses_nothing_that_was_acknowledged(cluster: PrivateCluster) -> None:
    """Three times under load; pending appends fail, later ones find the restarted server by themselves."""
    check_stops(cluster, stops=3, appends=200)


@pytest.mark.torture
def test_many_immediate_stops_of_the_server_lose_nothing(cluster: PrivateCluster) -> None:
    check_stops(cluster, stops=40, appends=3000)


def test_a_server_restarted_while_nothing_is_under_way_is_not_noticed(cluster: PrivateCluster) -> None:
    with PostgresQueue(cluster.url) as queue:
        end = queue.append("before", [LogRecord(kind="usage", payload="{}")]).stop
        assert queue.next_offset() == end
        cluster.stop("fast")
        with pytest.raises(QueueError, match="cannot be reached"):
            queue.next_offset()
        with pytest.raises(QueueError, match="cannot be reached"):
            queue.append("meanwhile", [LogRecord(kind="usage", payload="{}")])
        cluster.start()
        assert queue.next_offset() == end
        assert queue.append("after", [LogRecord(kind="usage", payload="{}")]).start == end
        cluster.stop("fast")
        cluster.start()
        assert queue.next_offset() == end + 1
        assert queue.append("after", [LogRecord(kind="usage", payload="{}")]).start == end + 1


def test_a_server_that_does_not_sync_is_refused_for_writing_and_told_to_the_operator(
    cluster: PrivateCluster,
) -> None:
    cluster.configure("fsync = off")
    try:
        with PostgresQueue(cluster.url) as queue:
            end = queue.next_offset()
            with pytest.raises(
                QueueError, match="fsync = off, so nothing is safe from a power failure: set it on"
            ):
                queue.append("product", [LogRecord(kind="usage", payload="{}")])
            assert queue.next_offset() == end
            assert "fsync = off" in queue.status().warnings[0]
    finally:
        cluster.configure("fsync = on")
    with PostgresQueue(cluster.url) as queue:
        assert queue.status().warnings == ()
