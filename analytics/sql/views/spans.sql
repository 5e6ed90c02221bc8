-- The time between one observation and the next: known to be in a status, or unknown.
-- rules:
--   1. A span lasts from an observation to the next one of the same store, model and revision. It has the status of
--      the observation it begins with: what was seen holds until something else is seen.
--   2. It is unknown when the next observation is more than max_gap_minutes away; then all of it is, not only what
--      exceeds the gap: nobody looked, the machine may have been off. Sweeps come every hour, so the default of 90 bears
--      one that is late, and none that did not come.
--   3. It is unknown when it begins with a contested observation (see instants).
--   4. From the last observation to until_time nothing is known, and before the first one the model does not count.
--   5. Spans of one key neither overlap nor leave holes: together they last from the first observation to until_time.
-- columns:
--   store: which store
--   model_id: the model
--   revision: the revision
--   started_at: when the span begins
--   ended_at: when it ends
--   status: one of the five words, or unknown
--   reason: why it is unknown: gap, contested, or unseen since
--   is_serving: whether the model could be used; null when unknown
--   surely_serving: it could be used at both ends
--   maybe_serving: it could be used at one end at least
--   target: the share of time it should be available
-- parameters:
--   max_gap_minutes double = 90: how far apart two observations may be for the time between them to be known
--   overlap_seconds double = 2: how near two runs are too near to be put in order
--   until_time timestamptz = now: where the history ends
-- depends: instants
with paired as (
    select
        *,
        lead(observed_at) over next_one as next_at,
        lead(status) over next_one as next_status,
        lead(is_serving) over next_one as next_is_serving
    from instants(overlap_seconds, until_time)
    window next_one as (partition by store, model_id, revision order by observed_at)
),
explained as (
    select
        *,
        case
            when next_at is null then 'unseen since'
            when epoch_us(next_at) - epoch_us(observed_at) > max_gap_minutes * 60e6 then 'gap'
            when status is null then 'contested'
        end as reason
    from paired
)
select
    store,
    model_id,
    revision,
    observed_at as started_at,
    coalesce(next_at, until_time) as ended_at,
    case when reason is null then status else 'unknown' end as status,
    reason,
    case when reason is null then is_serving end as is_serving,
    case when reason is null then is_serving and coalesce(next_is_serving, false) end as surely_serving,
    case when reason is null then is_serving or coalesce(next_is_serving, true) end as maybe_serving,
    target
from explained
