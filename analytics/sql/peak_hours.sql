-- At which hours of the day models are used, in a time zone; every hour has a row.
-- columns:
--   hour: 0 to 23
--   uses: loads, inferences and requests that began in it
--   share: of all of them, null without any
-- parameters:
--   days double = 30: how far back
--   zone varchar = UTC: the time zone of the hours
--   now timestamptz = now: where the history ends
-- depends: recent
with counted as (
    select extract(hour from timezone($zone, event_time)) as hour, count(*) as uses
    from recent($days, $now)
    where kind in ('load', 'inference', 'request')
    group by hour
)
select
    hours.hour,
    coalesce(counted.uses, 0) as uses,
    counted.uses / sum(counted.uses) over () as share
from (select unnest(range(24)) as hour) as hours
left join counted using (hour)
order by hours.hour
