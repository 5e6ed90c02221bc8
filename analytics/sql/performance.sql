-- How each model loads now beside its own past: the performance score, and what has become slower than it may.
-- The score is the old median by the new one, at most 1; without enough loads on both sides it is null, never 1.
-- columns:
--   model_id: the model
--   recent_loads: successful loads in the recent window
--   recent_p50_seconds: their median
--   baseline_loads: successful loads in the window before it
--   baseline_p50_seconds: their median
--   slower_by: how much longer it takes, as a share; negative when it is faster
--   performance_score: 0 to 1
--   is_regression: slower by more than the tolerance
-- parameters:
--   recent_days double = 7: the recent window
--   baseline_days double = 30: the window before it
--   least_loads integer = 5: how many loads each window needs
--   tolerance double = 0.2: how much slower is not yet a regression
--   now timestamptz = now: where the history ends
-- depends: load_medians
select
    model_id,
    recent_loads,
    recent_p50_seconds,
    baseline_loads,
    baseline_p50_seconds,
    slower_by,
    case when slower_by > 0 then 1 / (1 + slower_by) when slower_by <= 0 then 1 end as performance_score,
    coalesce(slower_by > $tolerance, false) as is_regression
from load_medians($recent_days, $baseline_days, $least_loads, $now)
order by slower_by desc nulls last, model_id
