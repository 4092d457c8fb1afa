"""Faults at random moments, on a real server and worker: every run must end as if nothing had happened.

    make chaos ARGS="--rounds 40 --seed 1"              # prints a table; exit code 1 if anything was lost
    make chaos ARGS="--rounds 40 --seed 1 --only 17"    # that round again

`lane` is a machine of its own, `faults` what happens to it, `rounds` one run and its fault, `checks` what must be true
afterwards. The times that bring a run back are those of ops/automations.py: the defaults are what is tried.
"""
