"""Agents that work in sessions and fan out into sub-agents."""

from collections.abc import Iterator
from datetime import timedelta

from billing_pipeline.demo.customers import CUSTOMERS
from billing_pipeline.demo.sending import Chance, DemoRecord, Work, sent, usage
from billing_pipeline.demo.traffic import MACHINES, REGIONS, completion_tokens, seconds

SESSIONS = 70
BUILDER = CUSTOMERS[2]
BUILT_BY_ONE = 0.5
"""The part of the sessions that one customer runs: enough calls to pass through all its tiers."""

TOOLS = ("web_search", "code_execution", "retrieval")


def agent_sessions(seed: int) -> Iterator[DemoRecord]:
    """A root agent whose step causes sub-agents; each one's step causes completions and tool calls."""
    chance = Chance(seed, "agent sessions")
    for number in range(SESSIONS):
        work = chance.work()
        if chance.random.random() < BUILT_BY_ONE:
            work = Work(BUILDER, BUILDER.projects[0], chance.instant(BUILDER))
        session = _Session(chance, work, f"session-{number:04}")
        root = session.agent(parent=None)
        for _ in range(chance.random.randrange(1, 5)):
            session.agent(parent=root)
        yield from session.sent


class _Session:
    """One run: what it has sent, and how far it is in time."""

    def __init__(self, chance: Chance, work: Work, session_id: str) -> None:
        self.sent: list[DemoRecord] = []
        self._chance = chance
        self._work = work
        self._session_id = session_id
        self._agents = 0
        self._passed = timedelta()

    def agent(self, parent: str | None) -> str:
        """One agent: its seconds of compute, its completions, its tool calls. Returns the id of its step."""
        chance = self._chance
        name = f"{self._session_id}.step-{self._agents}"
        self._agents += 1
        self._send(name, parent, "second", seconds(chance.random.randrange(2_000, 400_000)), _MACHINE)
        for turn in range(chance.random.randrange(1, 3)):
            for token_class, tokens in completion_tokens(chance):
                model = self._work.customer.model
                dimensions = {"model": model, "token_class": token_class, "region": REGIONS[0]}
                self._send(f"{name}.turn-{turn}.{token_class}", name, "token", str(tokens), dimensions)
        for turn in range(chance.random.randrange(1, 4)):
            tool = {"tool": chance.random.choice(TOOLS)}
            self._send(f"{name}.tool-{turn}", name, "call", str(chance.random.randrange(1, 200)), tool)
        return name

    def _send(
        self, name: str, parent: str | None, unit: str, quantity: str, dimensions: dict[str, str]
    ) -> None:
        self._passed += timedelta(milliseconds=self._chance.random.randrange(100, 2_000))
        occurred_at = self._work.occurred_at + self._passed
        work = Work(self._work.customer, self._work.project, occurred_at)
        event = usage(
            "agent-runtime",
            name,
            work,
            unit,
            quantity,
            correlation_id=self._session_id,
            dimensions=dimensions,
            session_id=self._session_id,
            step=_STEP_OF_UNIT[unit],
        )
        if parent is not None:
            event["parent_id"] = parent
        self.sent.append(sent(event, self._chance.soon_after(occurred_at), "valid", "agent sessions"))


_MACHINE = {"machine": MACHINES[0]}
_STEP_OF_UNIT = {"second": "agent_step", "token": "completion", "call": "tool_call"}
