-- Models that load more than 20 % slower than they used to (or another tolerance), the worst first.
-- columns:
--   model_id: the model
--   recent_p50_seconds: median of the recent window
--   baseline_p50_seconds: median of the window before it
--   slower_by: how much longer it takes, as a share
--   reason: the same as a sentence
-- parameters:
--   recent_days double = 7: the recent window
--   baseline_days double = 30: the window before it
--   least_loads integer = 5: how many loads each window needs
--   tolerance double = 0.2: how much slower is not yet a regression
--   now timestamptz = now: where the history ends
-- depends: load_medians
select
    model_id,
    recent_p50_seconds,
    baseline_p50_seconds,
    slower_by,
    format(
        'Loads take {:.1f} s, {:.0f} % more than the {:.1f} s before.',
        recent_p50_seconds,
        100 * slower_by,
        baseline_p50_seconds
    ) as reason
from load_medians($recent_days, $baseline_days, $least_loads, $now)
where slower_by > $tolerance
order by slower_by desc, model_id
