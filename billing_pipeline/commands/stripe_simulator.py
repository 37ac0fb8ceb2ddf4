"""`billing stripe simulator`: a Stripe to rehearse with, until Ctrl-C or SIGTERM."""

import signal
from pathlib import Path
from threading import Event
from types import FrameType

import click


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, help="Port on 127.0.0.1; 0 chooses a free one."
)
@click.option(
    "--store",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that holds everything; default: stripe_simulator.sqlite in the home.",
)
@click.option(
    "--fault",
    "fault_lines",
    multiple=True,
    metavar="'METHOD PATH KIND [after=N] [times=N] [seconds=N]'",
    help="What is to go wrong; may be repeated (docs/stripe-simulator.md).",
)
@click.option(
    "--faults",
    "faults_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A YAML list of such faults.",
)
@click.option(
    "--rate-limit", type=click.IntRange(1), help="Requests per second; more are answered 429. Default: none."
)
@click.option(
    "--meter-delay",
    type=click.IntRange(0),
    default=60,
    show_default=True,
    help="Seconds after which a meter event counts.",
)
@click.option(
    "--clock-offset",
    type=click.IntRange(0),
    default=0,
    help="Seconds by which the store's clock goes on, for good, before it serves.",
)
@click.option("--contract", is_flag=True, help="Print what it accepts as an OpenAPI document, and end.")
def simulator(
    *,
    port: int,
    store: Path | None,
    fault_lines: tuple[str, ...],
    faults_file: Path | None,
    rate_limit: int | None,
    meter_delay: int,
    clock_offset: int,
    contract: bool,
) -> None:
    """Serve a Stripe that moves no money, for other processes to push to."""
    if contract:
        _print_contract()
        return
    from billing_pipeline.invoicing.simulator.fault_files import parse_fault, read_faults
    from billing_pipeline.invoicing.simulator.faults import FaultScript, FiredFault
    from billing_pipeline.invoicing.simulator.http_messages import Handler
    from billing_pipeline.invoicing.simulator.rate_limit import TokenBucket
    from billing_pipeline.invoicing.simulator.server import running_simulator
    from billing_pipeline.settings import load_settings

    def tell(fired: FiredFault) -> None:
        click.echo(f"fault: {fired.rule.kind} on {fired.method} {fired.path}", err=True)

    rules = [parse_fault(line) for line in fault_lines] + (read_faults(faults_file) if faults_file else [])
    script = FaultScript(rules, tell=tell)
    bucket = TokenBucket(rate_limit) if rate_limit else None

    def wrap(handler: Handler) -> Handler:
        faulty = script.wrap(handler)
        return bucket.wrap(faulty) if bucket else faulty

    path = store or load_settings().simulator_path
    with running_simulator(
        path, port=port, wrap=wrap, meter_delay_seconds=meter_delay, advance_seconds=clock_offset
    ) as address:
        ending = _ending()
        click.echo(f"The Stripe simulator listens on {address}; its store is {path}.")
        click.echo("Push to it from another terminal with")
        click.echo(f"STRIPE_API_BASE={address}")
        # In short steps, because some platforms deliver no signal to a thread that waits without end.
        while not ending.wait(0.5):
            pass
    click.echo(f"Ended; {len(script.fired)} faults were made.")


def _ending() -> Event:
    """Set once somebody wants the process to end."""
    ending = Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ending.set()

    for wanted in (signal.SIGINT, signal.SIGTERM):
        signal.signal(wanted, end)
    return ending


def _print_contract() -> None:
    import json

    from billing_pipeline.invoicing.simulator.api import ENDPOINTS
    from billing_pipeline.invoicing.simulator.contract_document import contract_document

    click.echo(json.dumps(contract_document(ENDPOINTS), indent=1))
