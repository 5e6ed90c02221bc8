"""The road of one model, step by step: observe, plan, fetch what is wrong, prove it, publish, observe again.

First fetch, resume and repair are this one road with different shelves at its start, and adoption takes its steps. The
command line (`availability.ensure`) and Prefect (`tasks/`) travel it alike; retries are theirs.
"""

from availability.road.checking import check
from availability.road.planning import Ready, find_ready, plan
from availability.road.publishing import publish
from availability.road.travelling import travel

__all__ = ["Ready", "check", "find_ready", "plan", "publish", "travel"]
