-- What should be fetched before it is asked for: used often, and not available when it was last looked at.
-- columns:
--   model_id: the model
--   uses_per_day: uses a day in the window
--   uses: uses in the window
--   status: the latest observed status, null when it was never looked at
--   last_used: the latest use
--   reason: why it is here, as a sentence
-- parameters:
--   least_uses_per_day double = 0.5: how often a model must be used
--   days double = 14: the window
--   now timestamptz = now: its end
-- depends: events, uses, inventory, recent
with used as (
    select model_id, cast(sum(uses) as bigint) as uses, max(last_used) as last_used
    from uses($days, $now, 'UTC')
    group by model_id
),
seen as (
    select model_id, min(event_time) as first_seen
    from events
    where model_id is not null and event_time < $now
    group by model_id
),
looked_at as (
    select model_id, bool_or(is_available) as is_available, arg_max(status, observed_at) as status
    from inventory
    group by model_id
),
rated as (
    select
        used.*,
        used.uses / greatest(1, least($days, (epoch_us($now) - epoch_us(seen.first_seen)) / 864e8)) as uses_per_day,
        looked_at.status,
        coalesce(looked_at.is_available, false) as is_available
    from used
    join seen using (model_id)
    left join looked_at using (model_id)
)
select
    model_id,
    uses_per_day,
    uses,
    status,
    last_used,
    format('Used {:.1f} times a day, and {}.', uses_per_day, coalesce(status, 'never seen in the store')) as reason
from rated
where uses_per_day >= $least_uses_per_day and not is_available
order by uses_per_day desc, model_id
