-- How often each source was given up for a while, and for how long: from open to the next closed.
-- columns:
--   source: the source
--   openings: how often its breaker opened
--   open_seconds: how long it was open in all, until now where it still is
--   is_open: whether it is
--   last_opened: the latest opening
-- parameters:
--   days double = 30: how far back
--   now timestamptz = now: where the history ends
-- depends: recent
with changes as (
    select
        source,
        event_time,
        action,
        lag(action) over in_time as before,
        lead(event_time) over in_time as next_at
    from recent($days, $now)
    where kind = 'breaker' and source is not null and action in ('open', 'half_open', 'closed')
    window in_time as (partition by source order by event_time, event_id)
)
select
    source,
    count(*) filter (action = 'open' and before is distinct from 'open') as openings,
    coalesce(sum((epoch_us(coalesce(next_at, $now)) - epoch_us(event_time)) / 1e6) filter (action <> 'closed'), 0)
        as open_seconds,
    arg_max(action, event_time) <> 'closed' as is_open,
    max(event_time) filter (action = 'open') as last_opened
from changes
group by source
order by openings desc, source
