"""All services of a cluster in one process and one thread, on a clock and a network of a seed.

`python -m tests.support.simulation --help`. docs/decisions/0040 says what is real here and what
is simulated.
"""
