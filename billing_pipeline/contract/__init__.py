"""The usage event: its versions, its validation, its identity, and the log that everything accepted stands in."""
