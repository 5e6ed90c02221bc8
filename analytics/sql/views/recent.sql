-- The events of a window of time; what lies outside of it is not even read, because days are folders.
-- columns:
--   *: those of events
-- parameters:
--   days_back double = 30: how long the window is
--   until_time timestamptz = now: where it ends, itself excluded
-- depends: events
select *
from events
where date >= cast(timezone('UTC', until_time - to_microseconds(cast(days_back * 864e8 as bigint))) as date)
    and event_time >= until_time - to_microseconds(cast(days_back * 864e8 as bigint))
    and event_time < until_time
