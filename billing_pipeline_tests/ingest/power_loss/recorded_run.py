"""A writer at work on a recorded disk, and what must hold of whatever the disk has kept of it."""

import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.log_lines import Body, body_of, record_line
from billing_pipeline.errors import QueueError, QueueFailedError
from billing_pipeline.ingest import queue_writer
from billing_pipeline.ingest.queue import Batch
from billing_pipeline.ingest.queue_file import Connect
from billing_pipeline.ingest.queue_writer import QueueWriter
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline.ingest.write_buffer import Advance, Append
from billing_pipeline_tests.ingest.power_loss.recorded_disk import RecordedDisk

QUEUE_NAME = "queue.sqlite"
PATIENCE_SECONDS = 60
SMALL_CHECKPOINT_BYTES = 120_000


def body(number: int, payload_bytes: int) -> Body:
    payload = f"{number}/" + "x" * payload_bytes
    return body_of(record_line(LogRecord(kind="usage", payload=payload, id=str(i))) for i in range(2))


@contextmanager
def checkpoints_often() -> Iterator[None]:
    """So that a short run moves the WAL into the file, and begins it again, more than once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue_writer, "CHECKPOINT_BYTES", SMALL_CHECKPOINT_BYTES)
        yield


@dataclass
class RecordedRun:
    """Appends to the queue file in a folder, one writer after the other."""

    folder: Path
    disk: RecordedDisk
    sent: list[bytes] = field(default_factory=list)
    errors: list[QueueError] = field(default_factory=list)
    failures: list[QueueFailedError] = field(default_factory=list)

    def write(self, connect: Connect, groups: Sequence[int], payload_bytes: Sequence[int]) -> None:
        """A writer from its opening to its close: as many batches at a time as `groups` says, and an advance."""
        now = 1_000_000 * (1 + len(self.sent))
        writer = QueueWriter(
            self.folder / QUEUE_NAME,
            wall_clock=lambda: now,
            steady_clock=lambda: now,
            lock_timeout_seconds=PATIENCE_SECONDS,
            on_failure=self.failures.append,
            connect=connect,
        )
        try:
            for number, size in enumerate(groups):
                requests: list[Append | Advance] = []
                for _ in range(size):
                    sent = body(len(self.sent), payload_bytes[len(self.sent) % len(payload_bytes)])
                    self.sent.append(sent.lines)
                    requests.append(Append("product", sent.count, sent.lines))
                if number == len(groups) // 2:
                    requests.append(Advance(now))
                self._hand_in(writer, requests)
        finally:
            writer.close()

    def _hand_in(self, writer: QueueWriter, requests: Sequence[Append | Advance]) -> None:
        futures = []
        for request in requests:
            # The writer's thread runs this where it acknowledges, before it does anything else to the disk.
            request.done.add_done_callback(partial(self._answered, request))
            try:
                futures.append(writer.submit(request, PATIENCE_SECONDS))
            except QueueError as error:
                self.errors.append(error)
        for future in futures:
            future.exception(PATIENCE_SECONDS)

    def _answered(self, request: Append | Advance, done: Future[range]) -> None:
        error = done.exception()
        if isinstance(error, QueueError):
            self.errors.append(error)
        elif isinstance(request, Advance):
            self.disk.record("advanced", offset=request.to_us)
        else:
            self.disk.record("acknowledged", offset=done.result().start, data=request.body)

    def acknowledged(self, cut: int | None = None) -> dict[int, bytes]:
        """The lines by first offset that were acknowledged before the cut."""
        steps = self.disk.steps[:cut]
        return {step.offset: step.data for step in steps if step.kind == "acknowledged"}

    def lost(self, folder: Path, cut: int | None = None) -> int:
        """How many acknowledged batches the queue file in a folder has lost; everything else about it must hold."""
        acknowledged = self.acknowledged(cut)
        queue = SqliteQueue(folder / QUEUE_NAME)
        with queue:
            try:
                end = queue.next_offset()
            except QueueError:
                # A file that was just being made is mended by the first writer; no reader had anything to read.
                if acknowledged:
                    return len(acknowledged)
                end = None
            clock = queue.clock() if end is not None else 0
            added = body_of([record_line(LogRecord(kind="usage", payload="added"))])
            offsets = queue.submit("after", added).result(PATIENCE_SECONDS)
            found = {batch.first_offset: batch.body for batch in read_all(queue)}
        assert end is None or offsets == range(end, end + 1)
        assert found.pop(offsets.start) == added.lines
        in_order = iter(self.sent)
        assert all(lines in in_order for lines in found.values()), "only what was sent, in its order"
        advanced = [step.offset for step in self.disk.steps[:cut] if step.kind == "advanced"]
        lost = sum(found.get(offset) != lines for offset, lines in acknowledged.items())
        return lost + int(clock < max(advanced, default=0))


def read_all(queue: SqliteQueue) -> Iterator[Batch]:
    offset = 0
    while batches := queue.read_from(offset, 100_000):
        assert batches[0].first_offset == offset, "offsets are dense"
        yield from batches
        offset = batches[-1].next_offset


@dataclass
class Figures:
    """What a search found."""

    boundaries: int = 0
    states: int = 0
    acknowledged: int = 0
    lost: int = 0
    losing_states: int = 0


def try_boundaries(
    run: RecordedRun, scratch: Path, *, seeds: int, from_step: int = 0, every: int = 1
) -> Figures:
    """Cut the power at every boundary, in every way, and recover."""
    figures = Figures(acknowledged=len(run.acknowledged()))
    seen: set[int] = set()
    for cut in range(from_step, len(run.disk.steps) + 1, every):
        figures.boundaries += 1
        promises = sum(step.kind in {"acknowledged", "advanced"} for step in run.disk.steps[:cut])
        for survivors in run.disk.survivors(cut, seeds):
            image = run.disk.image(cut, survivors)
            key = hash((promises, *sorted(image.items())))
            if key in seen:
                continue
            seen.add(key)
            figures.states += 1
            folder = scratch / "recovered"
            folder.mkdir(parents=True)
            for name, content in image.items():
                (folder / name).write_bytes(content)
            lost = run.lost(folder, cut)
            figures.lost += lost
            figures.losing_states += lost > 0
            shutil.rmtree(folder)
    return figures
