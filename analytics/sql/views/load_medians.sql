-- The median load time of each model now, and in the time before now.
-- columns:
--   model_id: the model
--   recent_loads: successful loads in the recent window
--   recent_p50_seconds: their median
--   baseline_loads: successful loads in the window before it
--   baseline_p50_seconds: their median
--   slower_by: how much longer it takes now, as a share; null without enough loads on both sides
-- parameters:
--   recent_days double = 7: the recent window
--   baseline_days double = 30: the window before it
--   least_loads integer = 5: how many loads each window needs
--   until_time timestamptz = now: where the recent window ends
-- depends: recent
with loads as (
    select
        model_id,
        seconds,
        event_time >= until_time - to_microseconds(cast(recent_days * 864e8 as bigint)) as is_recent
    from recent(recent_days + baseline_days, until_time)
    where kind = 'load' and success and seconds is not null and model_id is not null
),
compared as (
    select
        model_id,
        count(*) filter (is_recent) as recent_loads,
        quantile_cont(seconds, 0.5) filter (is_recent) as recent_p50_seconds,
        count(*) filter (not is_recent) as baseline_loads,
        quantile_cont(seconds, 0.5) filter (not is_recent) as baseline_p50_seconds
    from loads
    group by model_id
)
select
    *,
    case
        when recent_loads >= least_loads and baseline_loads >= least_loads and baseline_p50_seconds > 0
            then recent_p50_seconds / baseline_p50_seconds - 1
    end as slower_by
from compared
