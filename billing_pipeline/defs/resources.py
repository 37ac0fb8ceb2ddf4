"""What the assets work with: DuckDB through its Dagster resource, and the pipeline on top of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_duckdb import DuckDBResource
from pydantic import PrivateAttr

from billing_pipeline.pipeline import Pipeline
from billing_pipeline.settings import load_settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class PipelineResource(dg.ConfigurableResource[Any]):
    """Queue, lake, rules and control database of the company in `BILLING_HOME`."""

    duckdb: dg.ResourceDependency[DuckDBResource]
    _opened: Pipeline | None = PrivateAttr(None)

    def open(self) -> Pipeline:
        """The pipeline under the settings of the environment.

        Dagster makes a resource anew for each run, and for each step where steps have processes of their own. The steps
        of a run share what was opened for the first of them, under the rules of that moment; the next run opens anew.
        """
        settings = load_settings()
        if self._opened is None or self._opened.settings != settings:
            self._opened = Pipeline(settings, self._connect)
        return self._opened

    @contextmanager
    def _connect(self) -> Iterator["DuckDBPyConnection"]:
        with self.duckdb.get_connection() as connection:
            yield connection


def resources() -> dict[str, Any]:
    """The resources by the names the assets ask for."""
    duckdb = DuckDBResource(database=":memory:")
    return {"duckdb": duckdb, "pipeline": PipelineResource(duckdb=duckdb)}
