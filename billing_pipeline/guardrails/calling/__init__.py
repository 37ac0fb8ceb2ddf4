"""What products call: requests made of their words, carried to the ledger or over HTTP, and holds as blocks of code."""
