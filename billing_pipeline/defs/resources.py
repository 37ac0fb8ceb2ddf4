"""What the assets work with: DuckDB through its Dagster resource, and the pipeline on top of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_duckdb import DuckDBResource

from billing_pipeline.pipeline import Pipeline
from billing_pipeline.settings import load_settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class PipelineResource(dg.ConfigurableResource[Any]):
    """Queue, lake, rules and control database of the company in `BILLING_HOME`."""

    duckdb: dg.ResourceDependency[DuckDBResource]

    def open(self) -> Pipeline:
        """The pipeline under the settings of the environment."""

        @contextmanager
        def connect() -> Iterator["DuckDBPyConnection"]:
            with self.duckdb.get_connection() as connection:
                yield connection

        return Pipeline(load_settings(), connect)


def resources() -> dict[str, Any]:
    """The resources by the names the assets ask for."""
    duckdb = DuckDBResource(database=":memory:")
    return {"duckdb": duckdb, "pipeline": PipelineResource(duckdb=duckdb)}
