"""The groups of the `billing` command, one module each; `cli.py` registers them."""
