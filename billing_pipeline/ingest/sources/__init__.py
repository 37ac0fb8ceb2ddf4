"""Where imported events come from: one module per format, each a generator of payloads with file and line."""
