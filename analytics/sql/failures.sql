-- What failed, by kind of event, source and kind of error, the most frequent first.
-- columns:
--   kind: the kind of event
--   source: the source, null where there was none
--   error_kind: the kind of error, ? where none was told
--   failures: how many
--   models: of how many models
--   last_at: the latest
-- parameters:
--   days double = 30: how far back
--   now timestamptz = now: where the history ends
-- depends: recent
select
    kind,
    source,
    coalesce(error_kind, '?') as error_kind,
    count(*) as failures,
    count(distinct model_id) as models,
    max(event_time) as last_at
from recent($days, $now)
where success = false
group by kind, source, coalesce(error_kind, '?')
order by failures desc, kind, source nulls first, error_kind
