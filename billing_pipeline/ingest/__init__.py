"""How events come in: the durable queue, its clock, and landing them into the lake."""
