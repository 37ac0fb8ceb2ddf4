"""A small guard on 127.0.0.1: a ledger in a dict, and before it what a test's script answers."""

from dataclasses import dataclass, field

import msgspec

from billing_pipeline.errors import GuardError
from billing_pipeline.gateway.answer import refused
from billing_pipeline.gateway.guard_endpoint import BODIES
from billing_pipeline.gateway.guard_refusals import refusal_of
from billing_pipeline.guardrails.answers import Denied
from billing_pipeline.guardrails.calling.wire import to_json
from billing_pipeline_tests.emit.scripted_gateway import Reply, ScriptedGateway
from billing_pipeline_tests.guardrails.told_ledger import ToldLedger

DROPPED: Reply = (0, {}, None)
"""The connection breaks before the request is looked at."""

LOST = "lost"
"""The request is done, and the connection breaks before the answer."""


@dataclass
class ScriptedGuard(ScriptedGateway):
    """Takes one step of the script for each request, then asks the ledger."""

    ledger: ToldLedger = field(default_factory=ToldLedger)
    steps: list[Reply | str] = field(default_factory=list)

    def answer(self, path: str, headers: dict[str, str], raw: bytes) -> Reply:
        """As the gateway's routes answer."""
        with self.lock:
            self.paths.append(path)
            self.headers.append(headers)
            step = self.steps.pop(0) if self.steps else None
            if isinstance(step, tuple):
                return step
            found = self._ask(path, raw)
            return DROPPED if step == LOST else found

    def _ask(self, path: str, raw: bytes) -> Reply:
        request = msgspec.json.decode(raw, type=BODIES[path]).request()
        try:
            found = self.ledger.submit(request).result()
        except GuardError as error:
            told = refused(refusal_of(error))
            return told.status, {}, told.body
        return (
            (402, {}, {"denied": to_json(found)}) if isinstance(found, Denied) else (200, {}, to_json(found))
        )
