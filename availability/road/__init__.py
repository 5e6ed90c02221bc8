"""The road of one model, step by step: observe, plan, fetch what is wrong, prove it, publish, observe again.

First fetch, resume, repair and adoption are this one road with different shelves at its start. Each step is a function,
so that the command line (`availability.ensure`) and Prefect (`tasks/`) take the same ones; retries are theirs.
"""

from availability.road.checking import check, confirm
from availability.road.fetching import fetch, reserve
from availability.road.planning import Ready, find_ready, plan
from availability.road.publishing import publish
from availability.road.repairing import repair

__all__ = ["Ready", "check", "confirm", "fetch", "find_ready", "plan", "publish", "repair", "reserve"]
