-- What all stored models took on the disk on each day (UTC): the last size of each model and revision seen on that day.
-- columns:
--   day: the day
--   store: which store
--   models: how many had a size
--   size_bytes: together
-- parameters:
--   days double = 30: how far back
--   now timestamptz = now: where the history ends
-- depends: recent
with last_sizes as (
    select
        date as day,
        coalesce(store, '') as store,
        model_id,
        coalesce(revision, 'main') as revision,
        arg_max_null(size_bytes, event_time) as size_bytes,
        arg_max(status, event_time) in ('available', 'updating', 'corrupted') as is_stored
    from recent($days, $now)
    where kind = 'status'
    group by all
)
select day, store, count(*) as models, cast(sum(size_bytes) as bigint) as size_bytes
from last_sizes
where is_stored and size_bytes is not null
group by day, store
order by day, store
