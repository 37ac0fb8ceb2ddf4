"""Who may do what: API keys, their scopes and their secrets, as pure decisions."""
