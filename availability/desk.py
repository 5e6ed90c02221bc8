"""A request for a model, answered at once: it is here, or this was begun, or this is why not and what could be done.

The answer is the same whoever asks: a flow, a program or a person at the command line. Who can start runs is handed in.
Nothing here waits for bytes: what takes time is begun, and can be followed by its id.
"""

from dataclasses import dataclass, field, replace

from availability.answer import ActionTaken, RequestAnswer, ready_answer
from availability.catalog import Catalog, Priority
from availability.errors import (
    DownloadFailedError,
    EnhancedModelAvailabilityError,
    FeatureOffError,
    IncompleteModelError,
    ModelNotFoundError,
    NoRunsError,
)
from availability.fallback.candidates import Readiness
from availability.fallback.consider import substitution_of
from availability.fallback.decide import Situation
from availability.fallback.estimate import UNKNOWN_WAIT, WaitEstimate, wait_for_bytes
from availability.fallback.observing import measured_speeds, wait_of
from availability.fallback.requirements import NOTHING_REQUIRED, Requirements
from availability.fallback.resolving import Resolution, Resolver
from availability.foresight import foresee_fetching
from availability.inventory import ModelStatus, known_ids, model_status
from availability.model import ModelId, parse_model_id
from availability.runner import NoRunner, Runner, Started
from availability.status import Availability
from availability.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for: the model, what a stand-in must be, and how urgent it is."""

    model: ModelId
    requirements: Requirements = NOTHING_REQUIRED
    priority: Priority = Priority.NORMAL


@dataclass(frozen=True, slots=True)
class Desk:
    """Where requests are answered.

    Attributes:
        workspace: where the models are.
        catalog: what their owners say.
        runner: who starts runs.
        remembers: whether decisions stand from now on; otherwise nothing is written.
    """

    workspace: Workspace
    catalog: Catalog
    runner: Runner = field(default_factory=NoRunner)
    remembers: bool = True

    @property
    def resolver(self) -> Resolver:
        """What makes decisions stand."""
        return Resolver(self.workspace, self.catalog, remembers=self.remembers)

    def answer(
        self, text: str, *, requirements: Requirements = NOTHING_REQUIRED, priority: Priority | None = None
    ) -> RequestAnswer:
        """Answer a request.

        Args:
            text: the model as it was typed.
            requirements: what is asked of one that stands in for it.
            priority: how urgent it is; None takes what the catalog says.

        Raises:
            InvalidModelIdError: the text can be no id.
        """
        try:
            asked = self._asked(text, requirements, priority)
        except ModelNotFoundError as error:
            return self._failed(Asked(parse_model_id(text), requirements), Availability.MISSING, error)
        status = model_status(self.workspace, asked.model, self.catalog)
        if status.availability_status.is_available:
            return ready_answer(status)
        if status.is_running:
            return self._running(asked, status)
        if status.availability_status is Availability.CORRUPTED:
            return self._damaged(asked, status)
        return self._missing(asked, status)

    def look_again(
        self, text: str, *, requirements: Requirements = NOTHING_REQUIRED, priority: Priority | None = None
    ) -> RequestAnswer:
        """Answer a request that has waited: as `answer` does, and nothing is started.

        Raises:
            ModelNotFoundError: nobody knows the name any more.
        """
        asked = self._asked(text, requirements, priority)
        model = asked.model
        status = model_status(self.workspace, model, self.catalog)
        if status.availability_status.is_available:
            return ready_answer(status)
        if status.is_running:
            return self._running(asked, status)
        started, told = self.runner.current(model), f"{model} is still to come."
        if started is not None:
            action, word = ActionTaken.DOWNLOAD_IN_PROGRESS, status.availability_status
            return RequestAnswer(
                model, action, told, word, download_id=started.run_id, queue_reason=started.queue_reason
            )
        error = _given_up(status)
        answer = RequestAnswer(model, ActionTaken.ERROR, error.message, status.availability_status, error=error)
        return self._decided(asked, answer, Situation(error.message))

    def _asked(self, text: str, requirements: Requirements, priority: Priority | None) -> Asked:
        model = self.catalog.resolve(text, frozenset(known_ids(self.workspace)))
        entry = self.catalog.entry(model)
        return Asked(model, requirements, priority or (entry.priority if entry else Priority.NORMAL))

    def serve(self, answer: RequestAnswer, resolution: Resolution) -> RequestAnswer:
        """Return an answer with a decision about which somebody has said who stands in, or that nobody does."""
        return self._served(replace(answer, resolution=resolution), resolution)

    # --- what there is of it ---

    def _running(self, asked: Asked, status: ModelStatus) -> RequestAnswer:
        wait, running = wait_of(status), status.download.download_id if status.download else None
        is_damaged = status.availability_status is Availability.CORRUPTED
        answer = RequestAnswer(
            asked.model,
            ActionTaken.REPAIR_ATTEMPTED if is_damaged else ActionTaken.DOWNLOAD_IN_PROGRESS,
            f"{asked.model} is being {'repaired' if is_damaged else 'fetched'}.",
            status.availability_status,
            download_id=None if is_damaged else running,
            repair_id=running if is_damaged else None,
            wait=wait,
        )
        return self._unless_long(asked, answer, wait)

    def _damaged(self, asked: Asked, status: ModelStatus) -> RequestAnswer:
        word, model = status.availability_status, asked.model
        by = self.workspace.settings.health.auto_repair_enabled
        if by != "auto":
            advice = (f"Mend it: availability repair {model}, or start the deployment repair-model.",)
            told = f"{model} is damaged, and auto_repair_enabled is {by}: no repair was started."
            return self._failed(asked, word, FeatureOffError(told, advice=advice))
        ranges = [damaged["ranges"] for damaged in status.damaged]
        known = not status.missing and not status.unverified and all(ranges)
        count = sum(stop - start for each in ranges for start, stop in each) if known else None
        wait = wait_for_bytes(count, measured_speeds(self.workspace))
        try:
            started = self.runner.repair(model)
        except NoRunsError as error:
            return self._not_begun(asked, word, error, wait)
        told = f"The repair of {model} was {'begun' if started.is_new else 'begun before'}."
        answer = RequestAnswer(model, ActionTaken.REPAIR_ATTEMPTED, told, word, repair_id=started.run_id, wait=wait)
        return self._begun(asked, answer, started, wait)

    def _missing(self, asked: Asked, status: ModelStatus) -> RequestAnswer:
        word, model = status.availability_status, asked.model
        try:
            wait = foresee_fetching(self.workspace, self.catalog, model)
        except EnhancedModelAvailabilityError as error:
            return self._failed(asked, word, error)
        try:
            started = self.runner.download(model, asked.priority)
        except NoRunsError as error:
            return self._not_begun(asked, word, error, wait)
        action = ActionTaken.DOWNLOAD_STARTED if started.is_new else ActionTaken.DOWNLOAD_IN_PROGRESS
        told = f"The fetching of {model} was {'begun' if started.is_new else 'begun before'}."
        answer = RequestAnswer(model, action, told, word, download_id=started.run_id, wait=wait)
        return self._begun(asked, answer, started, wait)

    # --- what comes of it ---

    def _begun(self, asked: Asked, answer: RequestAnswer, started: Started, wait: WaitEstimate) -> RequestAnswer:
        answer = replace(answer, queue_position=started.queue_position, queue_reason=started.queue_reason)
        if started.queue_reason is None:
            return self._unless_long(asked, answer, wait)
        # It may be a long time until somebody takes it: that is no promise of a model.
        told = f"{asked.model} is queued as run {started.run_id}. {started.queue_reason}"
        queued = replace(answer, action_taken=ActionTaken.ERROR, message=told, error=NoRunsError(told), wait=None)
        return self._decided(asked, queued, Situation(told, is_running=True), may_probe=False)

    def _unless_long(self, asked: Asked, answer: RequestAnswer, wait: WaitEstimate) -> RequestAnswer:
        """Return the answer, with a stand-in where the wait is not known to be short and the policy takes one."""
        limit = self.workspace.settings.fallback.fetch_first_minutes * 60
        may_stand_in = self._may_fall_back and substitution_of(self.catalog, asked.model) != "never"
        if wait.is_within(limit) or not may_stand_in:
            return answer
        return self._decided(asked, answer, Situation(answer.message, is_running=True, wait=wait), may_probe=False)

    def _not_begun(
        self, asked: Asked, word: Availability, error: NoRunsError, wait: WaitEstimate = UNKNOWN_WAIT
    ) -> RequestAnswer:
        answer = RequestAnswer(asked.model, ActionTaken.ERROR, error.message, word, wait=wait, error=error)
        return self._decided(asked, answer, Situation(error.message, can_fetch=True, wait=wait))

    def _decided(
        self, asked: Asked, answer: RequestAnswer, situation: Situation, *, may_probe: bool = True
    ) -> RequestAnswer:
        if not self._may_fall_back:
            return _without_fallback(answer)
        substitution = substitution_of(self.catalog, asked.model)
        resolution = self.resolver.resolve(
            asked.model,
            replace(situation, substitution=substitution),
            requirements=asked.requirements,
            may_probe=may_probe,
        )
        return self._served(replace(answer, resolution=resolution), resolution)

    def _failed(self, asked: Asked, word: Availability, error: EnhancedModelAvailabilityError) -> RequestAnswer:
        answer = RequestAnswer(asked.model, ActionTaken.ERROR, error.message, word, error=error)
        if not self._may_fall_back:
            return _without_fallback(answer)
        resolution = self.resolver.failed(asked.model, error, requirements=asked.requirements, was_tried=False)
        answer = self._served(replace(answer, resolution=resolution), resolution)
        return self._retried(asked, answer, resolution)

    def _retried(self, asked: Asked, answer: RequestAnswer, resolution: Resolution) -> RequestAnswer:
        """Let it be tried again later by itself, where that can end differently and is within its bounds."""
        after = resolution.retry_after_seconds
        if after is None:
            return answer
        try:
            started = self.runner.download(asked.model, asked.priority, after_seconds=after)
        except NoRunsError:
            return answer
        if started.is_new:
            self.resolver.retried(resolution)
        reason = (
            started.queue_reason or f"It is tried again by itself, at the latest {after / 60:.0f} minutes from now."
        )
        download_id = answer.download_id or started.run_id
        return replace(answer, download_id=download_id, queue_reason=reason, queue_position=started.queue_position)

    def _served(self, answer: RequestAnswer, resolution: Resolution) -> RequestAnswer:
        """Return the answer with the stand-in that was taken: here, or being fetched."""
        option = resolution.taken
        if option is None or option.model is None:
            return answer
        told = f"{option.model} stands in for {answer.model}: {option.reason}"
        if option.readiness is Readiness.READY:
            status = model_status(self.workspace, option.model, self.catalog)
            return replace(
                ready_answer(status),
                model=answer.model,
                message=told,
                availability_status=answer.availability_status,
                download_id=answer.download_id,
                repair_id=answer.repair_id,
                queue_reason=answer.queue_reason,
                queue_position=answer.queue_position,
                resolution=resolution,
            )
        try:
            started = self.runner.download(option.model, Priority.NORMAL)
        except NoRunsError:
            return answer
        action = ActionTaken.DOWNLOAD_STARTED if started.is_new else ActionTaken.DOWNLOAD_IN_PROGRESS
        if started.queue_reason is not None:
            action = ActionTaken.ERROR
        return replace(
            answer,
            action_taken=action,
            message=told,
            served=option.model,
            download_id=started.run_id,
            wait=option.wait,
            queue_reason=started.queue_reason,
            queue_position=started.queue_position,
        )

    @property
    def _may_fall_back(self) -> bool:
        return self.workspace.settings.features.intelligent_fallback


def _given_up(status: ModelStatus) -> EnhancedModelAvailabilityError:
    """Return why a model does not come any more that was waited for."""
    model = str(status.model)
    if status.availability_status is Availability.CORRUPTED:
        told = f"{model} is still damaged, and nobody repairs it any more."
        return IncompleteModelError(told, advice=(f"See what its repair says: availability repair {model}",))
    reason = status.download.reason if status.download else None
    return DownloadFailedError(model, reason or "nobody fetches it any more", 0)


def _without_fallback(answer: RequestAnswer) -> RequestAnswer:
    return replace(answer, message=f"{answer.message} intelligent_fallback is switched off: no stand-in was sought.")
