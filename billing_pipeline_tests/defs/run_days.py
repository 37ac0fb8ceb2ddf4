"""Makes records and rollups of some days on the home of the environment: `run_days.py RULE_VERSION DAY …`.

Each day is made in a process of its own, and all begin at the same moment: Python starts once and is forked for each;
nothing but imports has happened by then. It prints `success`, or what failed, for each of them.
"""

import os
import sys

import dagster as dg

from billing_pipeline.definitions import defs


def made(day: str, rule_version: str) -> str:
    """Make a day, a run for its records and one for its rollups; what came of it."""
    runs = {"records_of_day": day, "rollups_of_day": f"{day}|{rule_version}"}
    failures: list[str | None] = []
    with dg.DagsterInstance.get() as instance:
        for name, partition_key in runs.items():
            result = (
                defs()
                .resolve_job_def(name)
                .execute_in_process(instance=instance, partition_key=partition_key, raise_on_error=False)
            )
            failures += [event.message for event in result.all_events if event.is_failure]
    return str(failures) if failures else "success"


if __name__ == "__main__":
    rule_version, *days = sys.argv[1:]
    defs()
    wait, begin = os.pipe()
    processes = []
    for day in days:
        process = os.fork()
        if process == 0:
            os.close(begin)
            os.read(wait, 1)  # it ends when no process is left that could begin
            ended = 1
            try:
                outcome = made(day, rule_version)
                os.write(sys.stdout.fileno(), f"{outcome}\n".encode())
                ended = 0
            finally:
                os._exit(ended)
        processes.append(process)
    os.close(begin)
    for process in processes:
        os.waitpid(process, 0)
