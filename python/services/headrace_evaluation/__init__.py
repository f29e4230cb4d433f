"""Scores simulations against observations: the worker of the kind `evaluation`."""
