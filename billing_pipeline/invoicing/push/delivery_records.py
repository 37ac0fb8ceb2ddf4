"""How each customer's plan delivers a billing period: on record from the first delivery on, and then for good.

So a policy that changes acts from the next period on, and no usage goes both ways.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import cast

from sqlalchemy import Connection, Engine, select
from sqlalchemy.dialects import postgresql, sqlite

from billing_pipeline.control.clock import now_us
from billing_pipeline.control.database import writing
from billing_pipeline.control.invoice_tables import STRIPE_DELIVERIES
from billing_pipeline.invoicing.policies.policy import Delivery
from billing_pipeline.invoicing.push.billed import BilledLine
from billing_pipeline.invoicing.push.known import DeliveryKey


def recorded_deliveries(
    connection: Connection, account: str, periods: Iterable[date]
) -> dict[DeliveryKey, Delivery]:
    """What is on record of some billing periods."""
    table = STRIPE_DELIVERIES
    query = select(table.c.customer_id, table.c.plan, table.c.billing_period, table.c.delivery).where(
        table.c.account == account,
        table.c.billing_period.in_([period.isoformat() for period in sorted(set(periods))]),
    )
    return {
        (customer_id, plan, date.fromisoformat(period)): cast("Delivery", delivery)
        for customer_id, plan, period, delivery in connection.execute(query)
    }


def record_deliveries(
    engine: Engine, account: str, wanted: Mapping[DeliveryKey, Delivery], clock: Callable[[], int] = now_us
) -> dict[DeliveryKey, Delivery]:
    """Put deliveries on record where there are none yet, and return what then is on record for those keys.

    What is returned may differ from what was wanted: another process, or an earlier policy, was first.
    """
    periods = {period for _, _, period in wanted}
    with engine.connect() as connection:
        known = recorded_deliveries(connection, account, periods)
    missing = [key for key in sorted(wanted) if key not in known]
    if missing:
        with writing(engine) as connection:
            make_insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
            statement = make_insert(STRIPE_DELIVERIES).on_conflict_do_nothing()
            connection.execute(
                statement,
                [
                    {
                        "account": account,
                        "customer_id": customer_id,
                        "plan": plan,
                        "billing_period": period.isoformat(),
                        "delivery": wanted[customer_id, plan, period],
                        "recorded_at": clock(),
                    }
                    for customer_id, plan, period in missing
                ],
            )
            known = recorded_deliveries(connection, account, periods)
    return {key: known[key] for key in wanted}


def record_rated_lines(
    engine: Engine, account: str, lines: Iterable[BilledLine], clock: Callable[[], int] = now_us
) -> None:
    """Note of the plans of lines about to be pushed that they deliver rated lines, unless they are on record.

    Call it before `read_known`: from then on no meter event of the same usage is sent.
    """
    keys = {(line.customer_id, line.plan, line.billing_period) for line in lines if line.plan}
    record_deliveries(engine, account, dict.fromkeys(keys, "rated_lines"), clock)
