"""Answering a request under Prefect: as a task, with a person's word where it is wanted, and with waiting."""

from dataclasses import replace

from prefect import task
from prefect.cache_policies import NO_CACHE

from availability.answer import ActionTaken, RequestAnswer
from availability.catalog import Priority
from availability.desk import Desk
from availability.errors import NoRunsError
from availability.fallback.form import RequirementsForm
from availability.fallback.requirements import Requirements
from tasks.context import is_deployed
from tasks.fallback import approve, note_decision
from tasks.fallback_artifacts import publish_answer
from tasks.runs import count_waiting, has_waited, seconds_since_asked, start_waiting, wait_for_model


# Never cached: what it observes is the disk, and what it starts must be started.
@task(name="answer", task_run_name="answer {text}", cache_policy=NO_CACHE, persist_result=False)
def answer_request(desk: Desk, text: str, requirements: Requirements, priority: Priority | None) -> RequestAnswer:
    """Answer a request."""
    # Who is woken must start nothing: he is woken by failures too, and would start the next one.
    ask = desk.look_again if has_waited() else desk.answer
    answer = ask(text, requirements=requirements, priority=priority)
    if answer.resolution is not None and not (answer.resolution.must_ask and is_deployed()):
        note_decision(desk.workspace, answer.resolution)
    return answer


def approve_answer(desk: Desk, answer: RequestAnswer) -> RequestAnswer:
    """Ask a person who stands in, where the catalog says so, and return the answer with what he said."""
    if answer.resolution is None or not answer.resolution.must_ask:
        return answer
    (resolution,) = approve(desk.workspace, desk.catalog, [answer.resolution])
    note_decision(desk.workspace, resolution)
    return desk.serve(answer, resolution)


def wait_for_answer(
    desk: Desk, answer: RequestAnswer, requirements: RequirementsForm, priority: Priority | None, minutes: float
) -> RequestAnswer:
    """Wait until the model is ready, if it is on its way; the run that waits begins anew then.

    A run of the deployment waits itself, without a process. For any other a run of the deployment waits, and the answer
    carries its id.
    """
    is_under_way = answer.download_id is not None or answer.repair_id is not None
    if not is_under_way or answer.action_taken is ActionTaken.MODEL_READY:
        return answer
    entry = desk.catalog.entry(answer.model)
    urgency = priority or (entry.priority if entry else Priority.NORMAL)
    seconds = minutes * 60 - seconds_since_asked() if is_deployed() else minutes * 60
    if seconds <= 0:
        return _not_waited(answer, f"It was waited for, for {minutes:g} minutes.")
    try:
        count, most = count_waiting(), desk.workspace.settings.fallback.max_waiting_requests
        if count >= most:
            return _not_waited(answer, f"{count} requests wait already, which is as many as may: this one does not.")
        if not is_deployed():
            parameters = {
                "model": f"{answer.model.repo_id}@{answer.model.revision}",
                "requirements": requirements.model_dump(mode="json"),
                "priority": urgency.value,
                "wait_minutes": minutes,
            }
            started = start_waiting(answer.model, parameters, urgency)
            return replace(answer, request_id=started.run_id, queue_position=started.queue_position)
    except NoRunsError as error:
        return _not_waited(answer, error.message)
    publish_answer(
        answer, f"This request waits, with priority {urgency.value} and {count} others, for {seconds:.0f} s."
    )
    wait_for_model(answer.model, urgency, seconds)
    return answer


def _not_waited(answer: RequestAnswer, why: str) -> RequestAnswer:
    return replace(answer, message=f"{answer.message} {why}")
