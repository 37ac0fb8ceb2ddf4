"""Whatever is killed, a hold ends once, what was answered is booked once, and nothing that is held stays held."""

import random
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import Connection, Engine, create_engine, func, select, text

from billing_pipeline.audit.guard_invariants import guard_faults, leaked_holds
from billing_pipeline.control.database import open_control
from billing_pipeline.control.guard_tables import GUARD_HOLDS
from billing_pipeline.guardrails.commands import AddGrant
from billing_pipeline_tests.control_databases import new_control_url
from billing_pipeline_tests.ingest.private_cluster import PrivateCluster
from billing_pipeline_tests.scenarios.guard_evidence import Evidence, weigh
from billing_pipeline_tests.scenarios.guard_replay import replay
from billing_pipeline_tests.scenarios.guard_terms import open_writer
from billing_pipeline_tests.scenarios.guard_under_fire import (
    LIMIT,
    PATIENCE_SECONDS,
    TERMS,
    Fire,
    read_notes,
    terms_of,
)

KILLS, TORTURE_KILLS = 5, 100
STOPS, TORTURE_STOPS = 2, 30
Shoot = Callable[[Fire], None]


def check(url: str, folder: Path, shoot: Shoot, what: str, fired_url: str | None = None) -> Evidence:
    """Let processes work under fire; then wait until all that is held must have ended, and look at everything."""
    notes = folder / "notes"
    notes.mkdir()
    engine = open_control(url)
    with open_writer(url, TERMS) as writer:
        grant = AddGrant(customer_id="acme", currency="usd", grant_id="g", amount=LIMIT // 10)
        writer.submit(grant).result(PATIENCE_SECONDS)
    with Fire(fired_url or url, notes) as fire:
        shoot(fire)
        engine.dispose()  # its connections may have been ended, too
        fire.wait_for_more()
        fire.finish()
    wait_for_sweep(engine, url)
    found = weigh(engine, read_notes(notes))
    acts = {
        f"{act} {answer}": count for (act, answer), count in sorted(found.acts.items()) if answer != "asked"
    }
    print(  # noqa: T201 - the figures are the point
        f"{what}: {found.holds} holds; answers {acts}; expired {found.expired}, of which settled late "
        f"{found.settled_late}; no answer though granted {found.reserved_unknown}, though ended "
        f"{found.ended_unknown}; leaked {found.leaked}, double settles {found.double_settles}"
    )
    assert found.faults == []
    assert (found.leaked, found.double_settles) == (0, 0)
    assert guard_faults(engine) == []
    assert leaked_holds(engine, tolerance_seconds=0) == []
    replayed = replay(engine, terms_of)
    assert replayed.is_sound, replayed
    assert replayed.grants == found.holds
    engine.dispose()
    return found


def wait_for_sweep(engine: Engine, url: str) -> None:
    """Until the last hold's time has come, and a writer's next sweep is over."""
    pending = select(func.max(GUARD_HOLDS.c.expires_at)).where(GUARD_HOLDS.c.state == "pending")
    deadline = time.monotonic() + PATIENCE_SECONDS
    with open_writer(url, TERMS):
        while time.monotonic() < deadline:
            with engine.connect() as connection:
                if connection.execute(pending).scalar() is None:
                    return
            time.sleep(0.05)


def check_kills(url: str, folder: Path, kills: int, longest_seconds: float) -> Evidence:
    def shoot(fire: Fire) -> None:
        for _ in range(kills):
            fire.kill_one(longest_seconds)

    return check(url, folder, shoot, f"{kills} kills")


def test_processes_killed_at_any_moment_leak_no_hold_and_settle_nothing_twice(
    migrated_url: str, tmp_path: Path
) -> None:
    """Others go on meanwhile; acts are sent twice, crossed, late and under other keys on purpose."""
    found = check_kills(migrated_url, tmp_path, KILLS, longest_seconds=0.3)
    for act in ("settle ended", "settle hold_ended", "release ended", "release hold_ended"):
        assert found.acts[tuple(act.split())] > 0, act  # type: ignore[index]  # of two words
    assert found.settled_late > 0


@pytest.mark.torture
def test_processes_killed_for_long_leak_no_hold_and_settle_nothing_twice(
    migrated_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same, so often that kills fall between grant and answer, and between the end of a hold and its answer."""
    with capsys.disabled():
        found = check_kills(migrated_url, tmp_path, TORTURE_KILLS, longest_seconds=1.5)
    assert found.reserved_unknown > 0
    assert found.ended_unknown > 0


def check_terminations(url: str, folder: Path, terminations: int) -> Evidence:
    """The server ends the connections of the guard: half of the time while it is told to commit."""
    chance = random.Random(5)
    name = f"guard under fire {uuid.uuid4().hex[:8]}"
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    in_commit = 0

    def shoot(fire: Fire) -> None:
        nonlocal in_commit
        for number in range(terminations):
            fire.wait_for_more()
            time.sleep(chance.uniform(0.0, 0.2))
            with admin.connect() as connection:
                if number % 2:
                    in_commit += terminate_in_commit(connection, name)
                else:
                    connection.execute(text(TERMINATE), {"name": name, "query": "%"})

    found = check(url, folder, shoot, f"{terminations} terminations", f"{url}&application_name={quote(name)}")
    print(f"{in_commit} connections were terminated in COMMIT")  # noqa: T201 - as above
    admin.dispose()
    return found


TERMINATE = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE application_name = :name AND state <> 'idle' AND query LIKE :query"
)


def terminate_in_commit(connection: Connection, name: str) -> int:
    """End the connections that commit at this moment; how many those were."""
    for _ in range(2000):
        ended = connection.execute(text(TERMINATE), {"name": name, "query": "COMMIT%"}).scalar_one()
        if ended:
            return int(ended)
    return 0


@pytest.fixture
def postgres_url(tmp_path: Path) -> Iterator[str]:
    with new_control_url("postgresql", tmp_path) as url:
        yield url


def test_connections_terminated_in_mid_commit_leak_no_hold_and_settle_nothing_twice(
    postgres_url: str, tmp_path: Path
) -> None:
    """Whether it was done is not known then; asked again with the same key, it is done once."""
    check_terminations(postgres_url, tmp_path, 2 * KILLS)


@pytest.mark.torture
def test_connections_terminated_for_long_leak_no_hold_and_settle_nothing_twice(
    postgres_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        check_terminations(postgres_url, tmp_path, 2 * TORTURE_KILLS)


@pytest.fixture(scope="module")
def cluster() -> Iterator[PrivateCluster]:
    made = PrivateCluster()
    try:
        made.start()
        yield made
    finally:
        made.remove()


def check_stops(cluster: PrivateCluster, folder: Path, stops: int) -> Evidence:
    """The whole server stops at once, as if its machine had failed, and recovers."""
    chance = random.Random(9)

    def shoot(fire: Fire) -> None:
        for _ in range(stops):
            fire.wait_for_more()
            time.sleep(chance.uniform(0.0, 0.5))
            cluster.stop("immediate")
            cluster.start()

    url = cluster.url.replace("postgresql://", "postgresql+psycopg://")
    return check(url, folder, shoot, f"{stops} immediate stops")


def test_an_immediate_stop_of_the_server_leaks_no_hold_and_settles_nothing_twice(
    cluster: PrivateCluster, tmp_path: Path
) -> None:
    """Twice under load; the processes find the restarted server by themselves."""
    check_stops(cluster, tmp_path, STOPS)


@pytest.mark.torture
def test_many_immediate_stops_of_the_server_leak_no_hold_and_settle_nothing_twice(
    cluster: PrivateCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        check_stops(cluster, tmp_path, TORTURE_STOPS)
