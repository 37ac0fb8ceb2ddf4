"""Clients whose processes are killed, fork, end, or only import them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from billing_pipeline.emit.client import Client
from billing_pipeline_tests.emit.made_events import Noted
from billing_pipeline_tests.emit.scripted_gateway import Body, Reply, ScriptedGateway, accepted, failed

FLUSH_SECONDS = 60.0

PRELUDE = """
import os, signal, sys, threading
from pathlib import Path
from billing_pipeline.emit.client import Client
from billing_pipeline.emit.options import Options, Pauses
from billing_pipeline.errors import ClientClosedError, SpoolLockedError
url, spool, name = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
USAGE = dict(source="chat", customer_id="acme", project_id="bot", unit="token", quantity=1)
def client(**options):
    return Client(url, "k", spool_directory=spool, options=Options(**options))
"""

PRODUCER = """
made = client(batch_age_seconds=0.001, segment_bytes=5000, pauses=Pauses(first_seconds=0.001))
def produce(worker):
    for turn in range(1_000_000):
        event = made.usage(**USAGE, id=f"{name}/{worker}/{turn}")
        os.write(1, f"{event.id}\\n".encode())
for worker in range(3):
    threading.Thread(target=produce, args=(worker,)).start()
"""

FORKING = """
made = client(batch_age_seconds=1e6)
made.usage(**USAGE, id="before")
child = os.fork()
if child == 0:
    try:
        made.usage(**USAGE, id="child")
    except ClientClosedError as error:
        assert "after a fork" in str(error)
        assert made.close()
        spool = spool / "child"
        own = client()
        own.usage(**USAGE, id="own")
        sys.exit(0 if own.flush(60) else 1)  # by way of atexit, which must leave the parent's alone
    os._exit(2)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
try:
    client()
except SpoolLockedError:
    pass
else:
    raise SystemExit("the child let go of the parent's lock")
made.usage(**USAGE, id="after")
assert made.flush(60)
"""

ORPHANING = """
made = client(batch_age_seconds=1e6)
made.usage(**USAGE, id="before")
if os.fork() == 0:
    print(os.getpid(), flush=True)
    signal.sigwait({signal.SIGTERM})
    os._exit(0)
else:
    signal.sigwait({signal.SIGTERM})
"""

ENDING = """
made = client(batch_age_seconds=1e6, exit_timeout_seconds=60)
made.usage(**USAGE, id="last")
"""

ENDING_UNHEARD = """
made = client(batch_age_seconds=0.001, exit_timeout_seconds=0.2)
made.usage(**USAGE, id="last")
"""

ENDING_FORGETFUL = """
made = Client(url, "k", durability="memory", options=Options(exit_timeout_seconds=0.1))
made.usage(**USAGE, id="last")
"""

ENDING_ASYNC = """
import asyncio
from billing_pipeline.emit.async_client import AsyncClient
async def run():
    made = await AsyncClient(url, "k", durability="memory", options=Options(batch_age_seconds=1e6)).__aenter__()
    await made.usage(**USAGE, id="last")
    return made
kept = asyncio.run(run())
"""

HEAVY = (
    "alembic", "billing_pipeline.ingest", "billing_pipeline.lake", "dagster", "duckdb", "httpx", "pandas", "polars",
    "pyarrow", "pyiceberg", "rich", "sqlalchemy", "starlette", "stripe", "uvicorn",
)  # fmt: skip


def start(code: str, url: str, spool: Path, name: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + code, url, str(spool), name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> str:
    """What it said as an error; it must have ended well."""
    _, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    return told


def killed_after(process: subprocess.Popen[str], events: int) -> list[str]:
    """Kill it once it has emitted so many; the ids of all that it was told are taken over."""
    assert process.stdout is not None
    emitted = [process.stdout.readline().strip() for _ in range(events)]
    process.send_signal(signal.SIGKILL)
    rest = (
        process.stdout.read()
    )  # what `communicate` would skip, as it knows nothing of what readline has buffered
    process.communicate()
    # The last line may be torn, and then nobody was told.
    return emitted + [line.strip() for line in rest.splitlines(keepends=True) if line.endswith("\n")]


def kill_and_go_on(gateway: ScriptedGateway, spool: Path, rounds: int, events: int) -> None:
    def now_and_then(body: Body) -> Reply:
        return failed(503) if len(gateway.bodies) % 5 == 0 else accepted(body)

    gateway.script = [now_and_then] * 100_000
    emitted: list[str] = []
    for number in range(rounds):
        emitted += killed_after(start(PRODUCER, gateway.url, spool, str(number)), events + 7 * number)
    with Client(gateway.url, "k", spool_directory=spool, options=Noted().options()) as following:
        assert following.flush(FLUSH_SECONDS)
        assert following.counts.waiting == 0
    seen: dict[str, object] = {}
    for event in (event for body in gateway.bodies for event in body):
        assert seen.setdefault(event["id"], event) == event
    assert set(emitted) <= set(seen)
    assert not list(spool.glob("*.spool"))


def test_killed_clients_lose_nothing_that_was_emitted_and_repeat_only_the_same_events(
    gateway: ScriptedGateway, tmp_path: Path
) -> None:
    kill_and_go_on(gateway, tmp_path, rounds=3, events=100)


@pytest.mark.torture
def test_many_killed_clients_lose_nothing(gateway: ScriptedGateway, tmp_path: Path) -> None:
    kill_and_go_on(gateway, tmp_path, rounds=30, events=500)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_after_a_fork_the_parent_goes_on_and_the_child_is_told_to_make_its_own(
    gateway: ScriptedGateway, tmp_path: Path
) -> None:
    ended(start(FORKING, gateway.url, tmp_path))
    assert sorted(one for ids in gateway.ids() for one in ids) == ["after", "before", "own"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_that_lives_on_does_not_keep_the_spool_of_a_killed_parent(
    gateway: ScriptedGateway, tmp_path: Path
) -> None:
    process = start(ORPHANING, gateway.url, tmp_path)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        process.kill()
        process.wait()
        with Client(gateway.url, "k", spool_directory=tmp_path, options=Noted().options()) as following:
            assert following.flush(FLUSH_SECONDS)
    finally:
        os.kill(child, signal.SIGKILL)
        process.communicate()
    assert gateway.ids() == [["before"]]


def test_a_process_that_ends_without_closing_sends_what_waits(
    gateway: ScriptedGateway, tmp_path: Path
) -> None:
    ended(start(ENDING, gateway.url, tmp_path))
    assert gateway.ids() == [["last"]]


def test_a_process_ends_though_nobody_answers_and_the_next_sends_what_it_left(
    gateway: ScriptedGateway, tmp_path: Path
) -> None:
    told = ended(start(ENDING_UNHEARD, "http://127.0.0.1:9", tmp_path))
    assert "wait in the spool" in told
    with Client(gateway.url, "k", spool_directory=tmp_path, options=Noted().options()) as following:
        assert following.flush(FLUSH_SECONDS)
    assert gateway.ids() == [["last"]]


@pytest.mark.parametrize("code", [ENDING_FORGETFUL, ENDING_ASYNC])
def test_what_memory_loses_with_the_process_is_told(tmp_path: Path, code: str) -> None:
    assert "1 events were not sent and are lost" in ended(start(code, "http://127.0.0.1:9", tmp_path))


@pytest.mark.parametrize("module", ["billing_pipeline.emit.client", "billing_pipeline.emit.async_client"])
def test_a_client_is_imported_without_anything_heavy(module: str) -> None:
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(HEAVY).isdisjoint(json.loads(run.stdout))
