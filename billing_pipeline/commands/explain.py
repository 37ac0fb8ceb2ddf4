"""`billing explain`: how an invoice line came about, for finance and for a customer in a dispute."""

import sys
from pathlib import Path

import click

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("line_id", required=False)
@click.option("--json", "as_json", is_flag=True, help="The document as JSON.")
@click.option("--html", type=FILE, help="Write one page that stands alone, the events attached.")
@click.option("--events", type=FILE, help="Write all events behind the line as CSV.")
@click.option("--check", type=FILE, help="Check a document or page that was sent, instead of a LINE_ID.")
def explain(
    line_id: str | None, html: Path | None, events: Path | None, check: Path | None, *, as_json: bool
) -> None:
    """Explain an invoice line: quantities, prices, rules, corrections, late events, events, and hashes to verify it.

    Status 1 where the tables no longer give the line, or where a checked document does not hold.
    """
    if (line_id is None) == (check is None):
        raise click.UsageError("give a LINE_ID, or --check FILE")
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings
    from billing_pipeline.terminal.explain_report import run_check, run_explain

    pipeline = Pipeline(load_settings())
    holds = (
        run_check(pipeline, check)
        if check is not None
        else run_explain(pipeline, str(line_id), html, events, as_json=as_json)
    )
    if not holds:
        sys.exit(1)
