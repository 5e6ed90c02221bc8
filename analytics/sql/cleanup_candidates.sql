-- What could be deleted: stored, not pinned, and not used for so many days, the largest first.
-- Whether a copy is the last one, or is in use, is not known here: whoever deletes must ask.
-- columns:
--   store: which store
--   model_id: the model
--   revision: the revision
--   size_bytes: what would be freed
--   last_used: the latest use of the model, null when none is known
--   unused_days: days since then, or since it was first seen
--   minutes_to_fetch_again: at the usual speed of all sources; null when none was measured
--   reason: why it is here, as a sentence
-- parameters:
--   unused_days double = 30: how long a model must have been unused
--   now timestamptz = now: where the history ends
-- depends: inventory, events, speeds
with used as (
    select
        model_id,
        max(event_time) filter (kind in ('load', 'inference', 'request')) as last_used,
        min(event_time) as first_seen
    from events
    where model_id is not null and event_time < $now
    group by model_id
),
aged as (
    select
        inventory.*,
        used.last_used,
        (epoch_us($now) - epoch_us(coalesce(used.last_used, used.first_seen))) / 864e8 as idle_days
    from inventory
    join used using (model_id)
    where inventory.is_stored and inventory.size_bytes > 0 and not inventory.pinned
)
select
    aged.store,
    aged.model_id,
    aged.revision,
    aged.size_bytes,
    aged.last_used,
    aged.idle_days as unused_days,
    aged.size_bytes / speeds.usual_bytes_per_second / 60 as minutes_to_fetch_again,
    case
        when aged.last_used is null
            then format('Never used in the {:.0f} days since it was first seen.', floor(aged.idle_days))
        else format('Not used for {:.0f} days.', floor(aged.idle_days))
    end as reason
from aged
left join speeds(30, $now) as speeds on speeds.source = '*'
where aged.idle_days >= $unused_days
order by aged.size_bytes desc, aged.store, aged.model_id, aged.revision
