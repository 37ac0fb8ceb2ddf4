"""The tables of the lake: one declaration each, from which storage, checks, documentation and lineage are made."""
