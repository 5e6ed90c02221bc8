"""Can a model be fetched, and how long will it take? Asked of its source before anything is begun, or written."""

from availability.catalog import Catalog
from availability.download import check_feature
from availability.ensure import name_near_ones, plan_one
from availability.errors import ModelNotFoundError
from availability.fallback.estimate import WaitEstimate, wait_for_bytes
from availability.fallback.observing import measured_speeds
from availability.fallback.probing import impatient
from availability.model import ModelId
from availability.plan import Plan
from availability.preflight import check_room
from availability.requests import request_for
from availability.storage import observe_room, removable
from availability.workspace import Workspace


def foresee_fetching(workspace: Workspace, catalog: Catalog, model: ModelId) -> WaitEstimate:
    """Return how long fetching a model will take, after having asked whether it can be fetched at all.

    Raises:
        EnhancedModelAvailabilityError: it cannot; the class says why.
    """
    check_feature(workspace, model)
    plan = plan_one(impatient(workspace), request_for(workspace, catalog, model))
    if isinstance(plan, ModelNotFoundError):
        raise name_near_ones(workspace, catalog, plan)
    if not isinstance(plan, Plan):
        raise plan
    if plan.bytes_to_fetch:
        check_room(model, plan.bytes_to_fetch, observe_room(workspace, model), removable(workspace, model))
    return wait_for_bytes(plan.bytes_to_fetch, measured_speeds(workspace))
