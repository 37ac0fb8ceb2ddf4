"""A line of progress that is gone once the work is done; none where nobody looks."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from billing_pipeline.audit.report import Progress as Told


@contextmanager
def shown_progress(start: str) -> Iterator[Told]:
    """What is to be told the progress of the block; it goes to the standard error, so that JSON stays alone."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(start, total=None)
        yield lambda what, done, of: bars.update(task, description=what, completed=done, total=of)
