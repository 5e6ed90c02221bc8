-- How often each model was used on each day of a time zone. The rules stand above uses.
-- columns:
--   day: the day in the zone
--   model_id: the model
--   uses: how often
--   failed_uses: how many of them failed
-- parameters:
--   days double = 30: how far back
--   zone varchar = UTC: the time zone of the days
--   now timestamptz = now: where the history ends
-- depends: uses
select day, model_id, uses, failed_uses
from uses($days, $now, $zone)
order by day, model_id
