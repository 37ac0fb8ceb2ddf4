"""The ledger as a process has it: registry, rule books and policies of a company, put together."""

from collections.abc import Callable

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.guardrails.answers import Denied, Granted
from billing_pipeline.guardrails.ledger_writer import LedgerWriter
from billing_pipeline.guardrails.nano import NANO
from billing_pipeline.guardrails.requests import Reserve, Settle
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline.pipeline import Pipeline
from billing_pipeline_tests.guardrails.made_ledger import Clock, open_store

TOKENS = Usage(unit="token", quantity="1000000", dimensions={"model": "atlas-large", "token_class": "output"})


def test_usage_is_held_and_settled_at_the_price_of_the_invoice(
    pipeline: Pipeline, registered: Callable[..., list[LogRecord]]
) -> None:
    """Within the limits of the plan's policy; a customer registered meanwhile is known after a refresh."""
    _ = pipeline.control
    store = open_store(pipeline.settings.control_url, Clock())
    with pipeline.queue() as queue:
        queue.append("test", registered("acme"))
        customers = pipeline.guard_customers(queue)
        terms_book, pricer = pipeline.guard_terms(customers), pipeline.guard_pricer(customers)
        with customers, LedgerWriter(store, terms_book, pricer) as ledger:

            def ask(key: str, quantity: str, customer_id: str = "acme") -> Granted | Denied:
                usage = Usage(unit="token", quantity=quantity, dimensions=TOKENS.dimensions)
                request = Reserve(
                    customer_id=customer_id, project_id="p", usage=(usage,), idempotency_key=key
                )
                found: Granted | Denied = ledger.submit(request).result()
                return found

            held = ask("a", "2000000")
            assert isinstance(held, Granted)
            assert (held.currency, held.amount) == ("usd", 24 * NANO)
            ended = ledger.submit(Settle(hold_id=held.hold_id, usage=(TOKENS,))).result()
            assert (ended.booked, ended.freed) == (12 * NANO, 12 * NANO)
            denied = ask("b", "9000000")
            assert isinstance(denied, Denied)
            assert (denied.rule, denied.scope, denied.window) == ("hard_limit", "project:acme/p", "request")
            assert (denied.limit, denied.asked) == (100 * NANO, 108 * NANO)
            unknown = ask("c", "1", "bolt")
            assert isinstance(unknown, Denied)
            assert unknown.reason == "customer bolt is not registered"
            queue.append("test", registered("bolt"))
            assert customers.refresh()
            assert isinstance(ask("d", "1", "bolt"), Granted)
