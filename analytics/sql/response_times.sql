-- How quickly trouble is noticed and ended, by model: incidents, time to detect, time to repair, and the first arrival.
-- columns:
--   model_id: the model
--   incidents: how many there were
--   open_incidents: how many last
--   corruptions: how many were corruption
--   p50_seconds_to_detect: median of the longest time that each can have been unnoticed
--   p50_seconds_to_repair: median time from its first sight to its end
--   worst_seconds_to_repair: the longest
--   seconds_to_first_ready: from the first observation, when it was not there yet, to the first in which it was
-- parameters:
--   days double = 90: what began before is left out
--   overlap_seconds double = 2: how near two runs are too near to be put in order
--   now timestamptz = now: where the history ends
-- depends: outages
with measured as (
    select
        *,
        (epoch_us(started_at) - epoch_us(last_good_at)) / 1e6 as seconds_to_detect,
        (epoch_us(ended_at) - epoch_us(started_at)) / 1e6 as seconds_to_repair
    from outages($overlap_seconds, $now)
    where started_at >= $now - to_microseconds(cast($days * 864e8 as bigint))
)
select
    model_id,
    count(*) filter (not is_first) as incidents,
    count(*) filter (not is_first and ended_at is null) as open_incidents,
    count(*) filter (not is_first and was_corrupted) as corruptions,
    quantile_cont(seconds_to_detect, 0.5) filter (not is_first) as p50_seconds_to_detect,
    quantile_cont(seconds_to_repair, 0.5) filter (not is_first) as p50_seconds_to_repair,
    max(seconds_to_repair) filter (not is_first) as worst_seconds_to_repair,
    max(seconds_to_repair) filter (is_first) as seconds_to_first_ready
from measured
group by model_id
order by incidents desc, model_id
