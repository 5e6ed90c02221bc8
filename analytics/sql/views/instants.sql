-- Observations, one for each moment: what was seen then, or that those who looked did not agree.
-- rules:
--   1. What is observed is a model at a revision in a store; different ones never mix.
--   2. Several observations of one moment that agree are one observation.
--   3. An observation is contested when another one says something else at the same moment, or when another run says
--      something else at most overlap_seconds before or after it: clocks differ, so nobody can say which came last.
--      What a run says itself at different moments is never a contradiction: things change.
-- columns:
--   store: which store
--   model_id: the model
--   revision: the revision
--   observed_at: when
--   status: what was seen; null when contested
--   is_serving: whether it could be used (available or updating); null when contested
--   target: the share of time it should be available, as last told until then
-- parameters:
--   overlap_seconds double = 2: how near two runs are too near to be put in order
--   until_time timestamptz = now: what happened from here on is not looked at
-- depends: observations
with near as (
    select
        *,
        list({'at': observed_at, 'run': run_id, 'status': status}) over (
            partition by store, model_id, revision
            order by observed_at
            range between to_microseconds(cast(overlap_seconds * 1e6 as bigint)) preceding
                and to_microseconds(cast(overlap_seconds * 1e6 as bigint)) following
        ) as around
    from observations
    where observed_at < until_time
),
judged as (
    select
        * exclude (around),
        len([
            other for other in around
            if other.status <> status and (other.at = observed_at or other.run is distinct from run_id)
        ]) > 0 as is_contested
    from near
),
merged as (
    select
        store,
        model_id,
        revision,
        observed_at,
        case when bool_or(is_contested) then null else min(status) end as status,
        max(target) as target
    from judged
    group by store, model_id, revision, observed_at
)
select
    store,
    model_id,
    revision,
    observed_at,
    status,
    status in ('available', 'updating') as is_serving,
    last_value(target ignore nulls) over (
        partition by store, model_id, revision
        order by observed_at
        rows between unbounded preceding and current row
    ) as target
from merged
