-- Who ordered or approved what, the latest first.
-- columns:
--   event_time: when
--   kind: control or approval
--   action: what was ordered
--   model_id: for which model, null for all
--   success: whether it was done, or approved
--   who: the name, where one must be answerable, or the hash of the user
--   error_kind: why it was refused
--   run_id: the run that recorded it
-- parameters:
--   days double = 90: how far back
--   now timestamptz = now: where the history ends
-- depends: recent
select event_time, kind, action, model_id, success, coalesce(actor, user_hash) as who, error_kind, run_id
from recent($days, $now)
where kind in ('control', 'approval')
order by event_time desc, event_id
