"""Usage as Stripe meter events, for the plans that deliver it so: Stripe prices it then, by prices of its own."""
