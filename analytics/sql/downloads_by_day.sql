-- What was downloaded on each day (UTC), by source.
-- columns:
--   day: the day
--   source: the source
--   downloads: how many ended
--   failures: how many failed
--   bytes_fetched: what was transferred
--   bytes_per_second: bytes by seconds, over successful downloads
-- parameters:
--   days double = 30: how far back
--   now timestamptz = now: where the history ends
-- depends: recent
select
    date as day,
    coalesce(source, '?') as source,
    count(*) as downloads,
    count(*) filter (not success) as failures,
    cast(coalesce(sum(bytes_fetched), 0) as bigint) as bytes_fetched,
    sum(bytes_fetched) filter (success and seconds > 0) / sum(seconds) filter (success and seconds > 0)
        as bytes_per_second
from recent($days, $now)
where kind = 'download'
group by date, coalesce(source, '?')
order by day, source
