"""The Dagster instance of a home, for headless runs: what they do is there in the UI as well."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from billing_pipeline.errors import SettingsError
from billing_pipeline.settings import PROJECT_ROOT, Settings

if TYPE_CHECKING:
    from dagster import DagsterInstance


def open_dagster(settings: Settings) -> "DagsterInstance":
    """The instance that `dagster.yaml` describes, with its storage under the home.

    Raises:
        SettingsError: there is no `dagster.yaml` where one is expected.
    """
    settings.dagster_path.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("BILLING_DAGSTER", str(settings.dagster_path))
    folder = os.environ.setdefault("DAGSTER_HOME", str(PROJECT_ROOT))
    if not (Path(folder) / "dagster.yaml").is_file():
        raise SettingsError(
            f"DAGSTER_HOME={folder!r} holds no dagster.yaml; set it to the folder with the project's dagster.yaml"
        )
    from dagster import DagsterInstance

    return DagsterInstance.get()
