"""What ends a run, in a sentence for people."""


class BmiFailed(Exception):
    """A run that can't go on: which catchment, when, in which function, why, and what next."""
