-- How often each model was used on each day of a time zone, in a window of time.
-- rules:
--   1. A use is a load or an inference that somebody reported.
--   2. On a day on which nobody reported any of a model, each request for it counts as a use instead: a program that
--      does not report still uses the model it asks for.
-- columns:
--   day: the day in the zone
--   model_id: the model
--   uses: how often
--   failed_uses: how many of them failed
--   last_used: the latest moment
-- parameters:
--   days_back double = 30: how long the window is
--   until_time timestamptz = now: where it ends, itself excluded
--   zone_name varchar = UTC: the time zone of the days
-- depends: recent
with counted as (
    select
        case when zone_name = 'UTC' then date else cast(timezone(zone_name, event_time) as date) end as day,
        model_id,
        count(*) filter (kind <> 'request') as reported,
        count(*) filter (kind <> 'request' and success = false) as failed_reported,
        count(*) filter (kind = 'request') as requested,
        count(*) filter (kind = 'request' and success = false) as failed_requested,
        max(event_time) as last_used
    from recent(days_back, until_time)
    where kind in ('load', 'inference', 'request') and model_id is not null
    group by all
)
select
    day,
    model_id,
    case when reported > 0 then reported else requested end as uses,
    case when reported > 0 then failed_reported else failed_requested end as failed_uses,
    last_used
from counted
