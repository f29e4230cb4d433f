"""`headrace simulate`: the planner on a clock of its own, fed with a trace of jobs.

What decides is the scheduler's core as the scheduler calls it, and what keeps it honest is a
ledger with the rules of transition.lua. Everything but `cli.py` is pure: values in, values out.
"""
