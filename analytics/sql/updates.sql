-- What became of updates that were found: how many were applied, and how long that took.
-- An update is applied by the first successful update of the same model at or after it was found.
-- columns:
--   model_id: the model
--   found: updates that were found
--   applied: how many of them were applied
--   failed: updates that were tried in vain
--   p50_seconds_to_apply: median time from found to applied
--   last_found: the latest that was found
-- parameters:
--   days double = 90: how far back
--   now timestamptz = now: where the history ends
-- depends: recent
with recent as (
    select model_id, kind, commit_hash, success, event_time
    from recent($days, $now)
    where kind in ('update_found', 'update') and model_id is not null
),
found as (
    select model_id, commit_hash, min(event_time) as found_at
    from recent
    where kind = 'update_found'
    group by model_id, commit_hash
),
applied as (
    select model_id, event_time as applied_at
    from recent
    where kind = 'update' and success
),
paired as (
    select found.model_id, found.found_at, applied.applied_at
    from found
    asof left join applied on found.model_id = applied.model_id and found.found_at <= applied.applied_at
),
failures as (
    select model_id, count(*) as failed
    from recent
    where kind = 'update' and not success
    group by model_id
)
select
    paired.model_id,
    count(*) as found,
    count(paired.applied_at) as applied,
    coalesce(any_value(failures.failed), 0) as failed,
    quantile_cont((epoch_us(paired.applied_at) - epoch_us(paired.found_at)) / 1e6, 0.5) as p50_seconds_to_apply,
    max(paired.found_at) as last_found
from paired
left join failures using (model_id)
group by paired.model_id
order by found desc, paired.model_id
