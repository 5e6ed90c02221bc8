-- How long each model takes to load, over its successful loads.
-- columns:
--   model_id: the model
--   loads: how many
--   p50_seconds: the median
--   p95_seconds: the 95th percentile
--   bytes_per_second: median of size by time, null where no size was told
-- parameters:
--   days double = 30: how far back
--   now timestamptz = now: where the history ends
-- depends: recent
select
    model_id,
    count(*) as loads,
    quantile_cont(seconds, 0.5) as p50_seconds,
    quantile_cont(seconds, 0.95) as p95_seconds,
    quantile_cont(size_bytes / seconds, 0.5) filter (seconds > 0) as bytes_per_second
from recent($days, $now)
where kind = 'load' and success and seconds is not null and model_id is not null
group by model_id
order by p95_seconds desc, model_id
