"""What goes well: chats, embeddings and sandboxes of customers, what is not billed, and old clients."""

from collections.abc import Iterator

from billing_pipeline.demo.sending import Chance, DemoRecord, Event, Work, sent, usage

CHATS = 1300
EMBEDDINGS = 260
SANDBOXES = 320
NOT_BILLABLE = 150
OLD_CLIENTS = 60

OWN_MODEL = 0.8
"""The part of the chats with the customer's own model; the others go to the small one."""
CACHED = 0.7
"""The part of the completions with input from the cache."""

REGIONS = ("eu-central", "us-east", "ap-south")
MACHINES = ("sandbox-small", "sandbox-large")


def chats(seed: int) -> Iterator[DemoRecord]:
    """Conversations: one event per token class, all of one correlation id."""
    chance = Chance(seed, "chats")
    for number in range(CHATS):
        work, region = chance.work(), chance.random.choice(REGIONS)
        model = work.customer.model if chance.random.random() < OWN_MODEL else "atlas-small"
        for token_class, tokens in completion_tokens(chance):
            event = usage(
                "chat-gateway",
                f"chat-{number:05}.{token_class}",
                work,
                "token",
                str(tokens),
                user_id=f"user-{chance.random.randrange(400)}",
                dimensions={"model": model, "token_class": token_class, "region": region},
                step="completion",
            )
            yield sent(event, chance.soon_after(work.occurred_at), "valid", "chats")


def embeddings(seed: int) -> Iterator[DemoRecord]:
    """Documents that are embedded; the quantity is sent as a JSON integer here."""
    chance = Chance(seed, "embeddings")
    dimensions = {"model": "atlas-embed", "token_class": "input_uncached", "region": REGIONS[1]}
    for number in range(EMBEDDINGS):
        work, tokens = chance.work(), chance.random.randrange(5_000, 900_000)
        name = f"embed-{number:05}"
        event = usage("embed-service", name, work, "token", tokens, dimensions=dimensions, step="embedding")
        yield sent(event, chance.soon_after(work.occurred_at), "valid", "embeddings")


def sandboxes(seed: int) -> Iterator[DemoRecord]:
    """Seconds of compute, with fractions and their trailing zeros."""
    chance = Chance(seed, "sandboxes")
    for number in range(SANDBOXES):
        work, quantity = chance.work(), seconds(chance.random.randrange(250, 1_800_000))
        machine = {"machine": chance.random.choice(MACHINES)}
        event = usage("sandbox-runner", f"run-{number:05}", work, "second", quantity, dimensions=machine)
        yield sent(event, chance.soon_after(work.occurred_at), "valid", "sandboxes")


def not_billable(seed: int) -> Iterator[DemoRecord]:
    """Work that is counted but not billed, each event with its reason."""
    chance = Chance(seed, "not billable")
    reasons = ("internal_retry", "provider_error", "trial", "goodwill", "free_tier", "test", "system_error")
    for number in range(NOT_BILLABLE):
        work = chance.work()
        event = output(f"free-{number:04}.output", work, chance)
        event |= {"billable": False, "reason_code": chance.random.choice(reasons)}
        yield sent(event, chance.soon_after(work.occurred_at), "not_billable", "not billable")


def old_clients(seed: int) -> Iterator[DemoRecord]:
    """Clients that still send schema version 1."""
    chance = Chance(seed, "old clients")
    for number in range(OLD_CLIENTS):
        work = chance.work()
        event = output(f"old-{number:04}.output", work, chance) | {"schema_version": 1}
        yield sent(event, chance.soon_after(work.occurred_at), "valid", "old clients")


def output(name: str, work: Work, chance: Chance) -> Event:
    """An event of output tokens."""
    dimensions = {"model": work.customer.model, "token_class": "output", "region": REGIONS[0]}
    tokens = str(chance.random.randrange(500, 30_000))
    return usage("chat-gateway", name, work, "token", tokens, dimensions=dimensions)


def completion_tokens(chance: Chance) -> Iterator[tuple[str, int]]:
    """Tokens by class; often nothing came from the cache, and then nothing is sent for it."""
    yield "input_uncached", chance.random.randrange(20_000, 200_000)
    if chance.random.random() < CACHED:
        yield "input_cached", chance.random.randrange(10_000, 300_000)
    yield "output", chance.random.randrange(2_000, 30_000)


def seconds(milliseconds: int) -> str:
    """A number of seconds with three decimals."""
    return f"{milliseconds // 1000}.{milliseconds % 1000:03}"
