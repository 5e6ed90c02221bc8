-- How much each model is used: how often, how often a day, how well it loads, when last.
-- Uses a day are counted over the window, or over the time since the model was first seen where that is shorter.
-- columns:
--   model_id: the model
--   uses: uses in the window (see uses)
--   uses_per_day: uses a day
--   success_rate: share of uses that worked, null without uses
--   load_p50_seconds: median of successful loads
--   load_p95_seconds: 95th percentile of successful loads
--   last_used: the latest use, in the window or before it
--   users: different users in the window, where users were told
--   size_bytes: the latest observed size where it is stored, all revisions and stores together
-- parameters:
--   days double = 30: the window
--   now timestamptz = now: its end
-- depends: events, recent, uses, inventory
with used as (
    select
        model_id,
        sum(uses) as uses,
        sum(failed_uses) as failed_uses
    from uses($days, $now, 'UTC')
    group by model_id
),
loaded as (
    select model_id, quantile_cont(seconds, [0.5, 0.95]) as seconds
    from recent($days, $now)
    where kind = 'load' and success and seconds is not null
    group by model_id
),
asked as (
    select model_id, count(distinct user_hash) as users
    from recent($days, $now)
    where kind in ('load', 'inference', 'request')
    group by model_id
),
seen as (
    select model_id, min(event_time) as first_seen
    from events
    where model_id is not null and event_time < $now
    group by model_id
),
ever_used as (
    select model_id, max(event_time) as last_used
    from events
    where kind in ('load', 'inference', 'request') and model_id is not null and event_time < $now
    group by model_id
),
stored as (
    select model_id, sum(size_bytes) as size_bytes
    from inventory
    where is_stored
    group by model_id
)
select
    seen.model_id,
    cast(coalesce(used.uses, 0) as bigint) as uses,
    coalesce(used.uses, 0) / greatest(1, least($days, (epoch_us($now) - epoch_us(seen.first_seen)) / 864e8))
        as uses_per_day,
    1 - used.failed_uses / used.uses as success_rate,
    loaded.seconds[1] as load_p50_seconds,
    loaded.seconds[2] as load_p95_seconds,
    ever_used.last_used,
    coalesce(asked.users, 0) as users,
    cast(stored.size_bytes as bigint) as size_bytes
from seen
left join used using (model_id)
left join loaded using (model_id)
left join asked using (model_id)
left join ever_used using (model_id)
left join stored using (model_id)
order by uses desc, model_id
