"""Adapters: what a provider reports about a call, as usage events of one unit and one quantity each."""
