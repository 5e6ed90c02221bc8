"""From a failure to a decision that stands: what the error means, which stand-in the policy takes, what is remembered.

What a decision asks to be done with a run or a form is done by whoever can; here it is only decided and written down.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from time import time
from uuid import uuid4

from availability.catalog import Catalog
from availability.errors import EnhancedModelAvailabilityError
from availability.fallback.candidates import Candidate
from availability.fallback.consider import consider, substitution_of
from availability.fallback.decide import Situation
from availability.fallback.decision import FallbackDecision, FallbackKind, Option
from availability.fallback.observing import observe_candidates
from availability.fallback.recovery import RECOVERIES, RecoveryStep, failure_kind
from availability.fallback.requirements import NOTHING_REQUIRED, Requirements
from availability.fallback.standing import DecidedBy, Standing, standing_of
from availability.inventory import model_status
from availability.model import ModelId
from availability.workspace import Workspace

_HOPES = frozenset((FallbackKind.DOWNLOAD_AND_RETRY, FallbackKind.QUEUE_AND_WAIT))
"""Ways on that end with the wanted model, or have not helped."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """A decision, and what became of it.

    Attributes:
        decision: what was decided.
        standing: as it stands.
        is_new: whether it is another decision than the one that stood before.
        taken: the stand-in that was taken, None when nobody stands in.
        ended: what stood before and did not help, None when there is no such thing.
        retry_after_seconds: when it is to be tried again by itself, None when it is not.
    """

    decision: FallbackDecision
    standing: Standing
    is_new: bool
    taken: Option | None = None
    ended: Standing | None = None
    retry_after_seconds: float | None = None

    @property
    def must_ask(self) -> bool:
        """Whether a person is to be asked which model stands in."""
        return (
            self.decision.substitution == "ask"
            and self.decision.kind is FallbackKind.ALTERNATIVE_MODEL
            and self.taken is None
            and self.standing.decided_by == "policy"
        )


@dataclass(frozen=True)
class Resolver:
    """What makes decisions stand in one installation; it looks once at what could stand in, so use it for one batch.

    Attributes:
        workspace: where.
        catalog: what its owners say.
        new_id: makes the ids of decisions.
        now: the clock, seconds since the epoch.
        remembers: whether decisions stand from now on; otherwise nothing is written.
    """

    workspace: Workspace
    catalog: Catalog
    new_id: Callable[[], str] = lambda: str(uuid4())
    now: Callable[[], float] = time
    remembers: bool = True

    @cached_property
    def shelf(self) -> list[Candidate]:
        """The models that might stand in."""
        return observe_candidates(self.workspace, self.catalog)

    def failed(
        self,
        model: ModelId,
        error: EnhancedModelAvailabilityError,
        *,
        requirements: Requirements = NOTHING_REQUIRED,
        has_begun: bool = False,
        was_tried: bool = True,
    ) -> Resolution:
        """Decide about a model whose fetching has ended in an error, and do what is done by itself.

        Args:
            model: the model.
            error: how it ended.
            requirements: what is asked of a stand-in.
            has_begun: whether some of its bytes have arrived.
            was_tried: whether it was fetched; False where its source was only asked, and what stood may still help.
        """
        is_here = any(True for _ in self.workspace.store.commits(model))
        recovery = RECOVERIES[failure_kind(error, is_here=is_here, has_begun=has_begun)]
        if RecoveryStep.KEEP_LAST_COPY in recovery.steps and self.remembers:
            self.workspace.claim()
            self.workspace.last_copies.protect(model, error.message)
        before = self.workspace.decisions.read(model)
        first = before.failed_at if before and before.failed_at is not None else self.now()
        attempts = before.attempts if before else 0
        situation = Situation(
            reason=error.message.rstrip(".") + ".",
            substitution=substitution_of(self.catalog, model),
            can_fetch=recovery.may_retry(attempts, self.now() - first),
            recovery=recovery,
        )
        resolution = self.resolve(model, situation, requirements=requirements, has_failed=was_tried)
        standing = replace(resolution.standing, failed_at=first)
        self._let_stand(standing)
        after = recovery.retry_after_seconds if situation.can_fetch else None
        return replace(resolution, standing=standing, retry_after_seconds=after)

    def retried(self, resolution: Resolution) -> None:
        """Count a further attempt that was started by itself: they have an end."""
        self._let_stand(replace(resolution.standing, attempts=resolution.standing.attempts + 1))

    def resolve(
        self,
        model: ModelId,
        situation: Situation,
        *,
        requirements: Requirements = NOTHING_REQUIRED,
        may_probe: bool = True,
        has_failed: bool = False,
    ) -> Resolution:
        """Decide about a model in a situation, take the stand-in that the policy takes, and let it stand."""
        shelf = self.shelf if situation.substitution != "never" else []
        decision = consider(
            self.workspace, self.catalog, model, situation, shelf, requirements=requirements, may_probe=may_probe
        )
        before = self.workspace.decisions.read(model)
        option, by = self._taken(decision, before)
        standing = standing_of(self.new_id(), decision, option or _own_way(decision), by=by, now=self.now())
        ended = before if before is not None and _is_over(before, standing, has_failed=has_failed) else None
        if before is not None:
            standing = replace(standing, attempts=before.attempts, failed_at=before.failed_at)
        if before is not None and ended is None:
            standing = replace(standing, decision_id=before.decision_id, decided_at=before.decided_at)
        self._let_stand(standing)
        return Resolution(decision, standing, standing.decision_id != (before and before.decision_id), option, ended)

    def take(self, resolution: Resolution, option: Option | None, by: DecidedBy) -> Resolution:
        """Let stand what a person, or the default in his place, has chosen: a stand-in, or None for nobody."""
        way = option or _own_way(resolution.decision)
        before = resolution.standing
        standing = standing_of(before.decision_id, resolution.decision, way, by=by, now=before.decided_at)
        standing = replace(standing, attempts=before.attempts, failed_at=before.failed_at)
        self._let_stand(standing)
        return replace(resolution, standing=standing, taken=option)

    def settle(self) -> list[Standing]:
        """End the decisions about models that are available again; return them."""
        back = [
            standing.model
            for standing in self.workspace.decisions.all()
            if model_status(self.workspace, standing.model, self.catalog).availability_status.is_available
        ]
        ended = (self.workspace.decisions.end(model) for model in back)
        return [standing for standing in ended if standing is not None]

    def _let_stand(self, standing: Standing) -> None:
        """Remember a decision, unless nothing will ever come of it: nobody keeps the model, and nobody fetches it."""
        if not self.remembers:
            return
        is_kept = self.catalog.entry(standing.model) is not None
        if is_kept or FallbackKind(standing.action) in _HOPES | {FallbackKind.ALTERNATIVE_MODEL}:
            self.workspace.claim()
            self.workspace.decisions.write(standing)
        else:
            self.workspace.decisions.end(standing.model)

    def _taken(self, decision: FallbackDecision, before: Standing | None) -> tuple[Option | None, DecidedBy]:
        """Return the stand-in that is taken without asking, and by whose word.

        Who stood in before goes on doing so while it is still offered; what a person has said holds for as long.
        """
        said_by: DecidedBy = before.decided_by if before is not None else "policy"
        same = next((one for one in decision.alternatives if before and str(one.model) == before.substitute), None)
        if decision.kind is not FallbackKind.ALTERNATIVE_MODEL:
            return None, "policy"
        if same is not None:
            return same, said_by
        if decision.substitution == "auto":
            return decision.chosen, "policy"
        is_declined = before is not None and before.substitute is None and said_by == "person"
        return None, said_by if is_declined else "policy"


def _own_way(decision: FallbackDecision) -> Option:
    """Return the way that is left when nobody stands in."""
    others = (option for option in decision.options if option.kind is not FallbackKind.ALTERNATIVE_MODEL)
    return next(others, Option(FallbackKind.UNAVAILABLE, decision.chosen.reason))


def _is_over(before: Standing, after: Standing, *, has_failed: bool) -> bool:
    """Say whether what stood before has come to its end: another way is taken, or what it hoped for has failed."""
    is_other = (before.action, before.substitute) != (after.action, after.substitute)
    was_tried = before.attempts > 0 or before.action == FallbackKind.QUEUE_AND_WAIT
    return is_other or (has_failed and before.action in _HOPES and was_tried)
