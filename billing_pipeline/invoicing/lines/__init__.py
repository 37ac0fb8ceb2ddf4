"""From rollups to invoice lines: what each customer's invoice period books, priced, explained and evidenced."""
