"""Events, rollups, charges, lines and Stripe beside each other: what two neighbours say, and why they differ."""
