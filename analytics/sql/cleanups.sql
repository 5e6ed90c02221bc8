-- What clean-up gave back, by day (UTC).
-- columns:
--   day: the day
--   cleanups: how many ended
--   failures: how many failed
--   models: of how many models
--   bytes_freed: what was given back
-- parameters:
--   days double = 90: how far back
--   now timestamptz = now: where the history ends
-- depends: recent
select
    date as day,
    count(*) as cleanups,
    count(*) filter (not success) as failures,
    count(distinct model_id) as models,
    cast(coalesce(sum(bytes_freed) filter (success), 0) as bigint) as bytes_freed
from recent($days, $now)
where kind = 'cleanup'
group by date
order by day
