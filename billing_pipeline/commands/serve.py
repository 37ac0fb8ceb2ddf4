"""`billing serve`: the HTTP gateway."""

import sys
from dataclasses import replace

import click


@click.command()
@click.option("--host", help="Address to listen on; default: BILLING_GATEWAY_HOST, else 127.0.0.1.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    help="Port; 0 chooses a free one, the log says which; default: BILLING_GATEWAY_PORT, else 8080.",
)
def serve(host: str | None, port: int | None) -> None:
    """Take events over HTTP into the durable queue (docs/gateway.md); SIGTERM ends it without losing any."""
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings

    settings = load_settings()
    gateway = settings.gateway
    chosen = replace(
        gateway,
        host=gateway.host if host is None else host,
        port=gateway.port if port is None else port,
    )
    sys.exit(Pipeline(replace(settings, gateway=chosen)).serve())
