"""The usage event: its versions, validation and identity, and the log that everything accepted stands in."""
