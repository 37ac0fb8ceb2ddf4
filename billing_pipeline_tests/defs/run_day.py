"""Makes records and rollups of one day, a run each, on the home of the environment: `run_day.py DAY RULE_VERSION`.

It says `ready` once everything is imported, and begins when it gets a line, so that several begin at once.
"""

import sys

import dagster as dg

from billing_pipeline.definitions import defs

if __name__ == "__main__":
    day, rule_version = sys.argv[1:]
    runs = {"records_of_day": day, "rollups_of_day": f"{day}|{rule_version}"}
    jobs = {name: defs().resolve_job_def(name) for name in runs}
    failures: list[str | None] = []
    with dg.DagsterInstance.get() as instance:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        for name, partition_key in runs.items():
            result = jobs[name].execute_in_process(
                instance=instance, partition_key=partition_key, raise_on_error=False
            )
            failures += [event.message for event in result.all_events if event.is_failure]
    sys.stdout.write(f"{failures}\n" if failures else "success\n")
