-- How long requests waited for a model that was not ready when it was asked for.
-- A request is answered by the first sight of the model as ready at or after it: an observation (available or
-- updating), the event available, a successful download or repair, or a request that found it ready.
-- columns:
--   model_id: the model
--   requests: requests that had to wait
--   answered: how many were answered until now
--   still_waiting: how many were not
--   p50_seconds: median wait of the answered
--   p95_seconds: 95th percentile of it
--   worst_seconds: the longest
-- parameters:
--   days double = 30: requests before are left out
--   now timestamptz = now: where the history ends
-- depends: events, recent
with requested as (
    select model_id, event_time as requested_at
    from recent($days, $now)
    where kind = 'request' and model_id is not null and coalesce(action, '') <> 'model_ready'
        and (action is not null or success = false)
),
ready as (
    select model_id, event_time as ready_at
    from events
    where event_time < $now and model_id is not null
        and (
            (kind = 'status' and status in ('available', 'updating'))
            or kind = 'available'
            or (kind in ('download', 'repair') and success)
            or (kind = 'request' and action = 'model_ready')
        )
),
waited as (
    select
        requested.model_id,
        (epoch_us(ready.ready_at) - epoch_us(requested.requested_at)) / 1e6 as seconds
    from requested
    asof left join ready
        on requested.model_id = ready.model_id and requested.requested_at <= ready.ready_at
)
select
    model_id,
    count(*) as requests,
    count(seconds) as answered,
    count(*) - count(seconds) as still_waiting,
    quantile_cont(seconds, 0.5) as p50_seconds,
    quantile_cont(seconds, 0.95) as p95_seconds,
    max(seconds) as worst_seconds
from waited
group by model_id
order by still_waiting desc, p50_seconds desc nulls last, model_id
