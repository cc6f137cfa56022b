"""When something is to be tried: a job by the clock, again what failed, a reminder; pure.

A *due time* is an instant at which a job should have run; an *obstacle* is why an attempt at one did
not complete it.
"""
