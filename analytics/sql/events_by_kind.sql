-- What the history holds: events of each kind, of how many models, since when and until when.
-- columns:
--   kind: the kind of event
--   events: how many
--   models: of how many models
--   first_at: the earliest
--   last_at: the latest
-- depends: events
select
    kind,
    count(*) as events,
    count(distinct model_id) as models,
    min(event_time) as first_at,
    max(event_time) as last_at
from events
group by kind
order by kind
