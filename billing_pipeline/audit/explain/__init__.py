"""How an invoice line came about, as a document that a customer can be sent and anybody can check."""
