-- How repairs went, by model: how many worked, how long they took, how many bytes they cost.
-- columns:
--   model_id: the model
--   repairs: how many ended
--   success_rate: share that worked
--   p50_seconds: median time of those
--   p95_seconds: 95th percentile of it
--   bytes_fetched: what all of them transferred
--   actions: what was done, in alphabetic order
--   last_at: the latest
-- parameters:
--   days double = 90: how far back
--   now timestamptz = now: where the history ends
-- depends: recent
select
    model_id,
    count(*) as repairs,
    count(*) filter (success) / count(*) as success_rate,
    quantile_cont(seconds, 0.5) filter (success) as p50_seconds,
    quantile_cont(seconds, 0.95) filter (success) as p95_seconds,
    cast(coalesce(sum(bytes_fetched), 0) as bigint) as bytes_fetched,
    coalesce(list_sort(list(distinct action) filter (action is not null)), []) as actions,
    max(event_time) as last_at
from recent($days, $now)
where kind = 'repair' and model_id is not null
group by model_id
order by repairs desc, model_id
