"""The control: what a limit is worth that is checked in one transaction and recorded in the next."""

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from sqlalchemy import Engine, text

from billing_pipeline.control.database import open_control, writing


@contextmanager
def naive_table(url: str) -> Iterator[Engine]:
    """A table of what was spent, in the same database; gone afterwards."""
    engine = open_control(url)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE naive_spend (account VARCHAR(64), amount BIGINT)"))
    try:
        yield engine
    finally:
        with writing(engine) as connection:
            connection.execute(text("DROP TABLE naive_spend"))
        engine.dispose()


def naive_overshoot(
    engine: Engine, accounts: Sequence[str], clients: int, *, limit: int, asked: int, reserves: int
) -> int:
    """The most that an account has spent above its limit, when so many clients check and then record."""

    def client(number: int) -> None:
        chance = random.Random(number)
        for _ in range(-(-reserves // clients)):
            account = chance.choice(accounts)
            if _used(engine, account) + asked <= limit:
                with writing(engine) as connection:
                    connection.execute(
                        text("INSERT INTO naive_spend VALUES (:account, :amount)"),
                        {"account": account, "amount": asked},
                    )

    with ThreadPoolExecutor(clients) as threads:
        list(threads.map(client, range(clients)))
    return max(_used(engine, account) - limit for account in accounts)


def _used(engine: Engine, account: str) -> int:
    with engine.connect() as connection:
        statement = text("SELECT coalesce(sum(amount), 0) FROM naive_spend WHERE account = :account")
        return int(connection.execute(statement, {"account": account}).scalar_one())
