-- Spans put together: each interval is the longest time in which the status, or the reason why it is unknown, stayed
-- the same.
-- columns:
--   store: which store
--   model_id: the model
--   revision: the revision
--   started_at: when it begins
--   ended_at: when it ends
--   seconds: how long it lasts
--   status: one of the five words, or unknown
--   reason: why it is unknown
--   observations: how many observations it rests on
-- parameters:
--   max_gap_minutes double = 90: how far apart two observations may be for the time between them to be known
--   overlap_seconds double = 2: how near two runs are too near to be put in order
--   until_time timestamptz = now: where the history ends
-- depends: spans
with marked as (
    select
        *,
        (status, reason) is distinct from lag((status, reason)) over in_time as is_new
    from spans(max_gap_minutes, overlap_seconds, until_time)
    window in_time as (partition by store, model_id, revision order by started_at)
),
numbered as (
    select
        *,
        count(*) filter (is_new) over (
            partition by store, model_id, revision
            order by started_at
            rows between unbounded preceding and current row
        ) as number
    from marked
)
select
    store,
    model_id,
    revision,
    min(started_at) as started_at,
    max(ended_at) as ended_at,
    (epoch_us(max(ended_at)) - epoch_us(min(started_at))) / 1e6 as seconds,
    any_value(status) as status,
    any_value(reason) as reason,
    count(*) as observations
from numbered
group by store, model_id, revision, number
