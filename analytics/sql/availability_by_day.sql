-- How available each model was on each day of a time zone. The rules stand above spans and days.
-- columns:
--   day: the day in the zone, by its first day
--   store: which store
--   model_id: the model
--   revision: the revision
--   percent_available: available or updating, in percent of known time; null when nothing is known
--   at_least_percent: if every change came as early as it can have
--   at_most_percent: if every change came as late as it can have
--   coverage_percent: known time in percent of the time since the first observation
--   serving_seconds: time available or updating
--   known_seconds: time in one of the five words
--   unknown_seconds: time of which nothing is known
--   target_percent: what it should be, as last told
--   meets_target: whether it is; null without a target or without known time
-- parameters:
--   days double = 30: how far back, whole days of the zone
--   max_gap_minutes double = 90: how far apart two observations may be for the time between them to be known
--   overlap_seconds double = 2: how near two runs are too near to be put in order
--   zone varchar = UTC: the time zone of the days
--   now timestamptz = now: where the history ends
-- depends: days
with summed as (
    select
        day as day,
        store,
        model_id,
        revision,
        sum(unknown_us) as unknown_us,
        sum(known_us) as known_us,
        sum(serving_us) as serving_us,
        sum(surely_us) as surely_us,
        sum(maybe_us) as maybe_us,
        arg_max(target, days.day) as target
    from days($max_gap_minutes, $overlap_seconds, $now, $zone) as days
    where days.day > cast(timezone($zone, $now) as date) - cast($days as integer)
    group by all
)
select
    day,
    store,
    model_id,
    revision,
    100 * serving_us / nullif(known_us, 0) as percent_available,
    100 * surely_us / nullif(known_us, 0) as at_least_percent,
    100 * maybe_us / nullif(known_us, 0) as at_most_percent,
    100 * known_us / (known_us + unknown_us) as coverage_percent,
    serving_us / 1e6 as serving_seconds,
    known_us / 1e6 as known_seconds,
    unknown_us / 1e6 as unknown_seconds,
    100 * target as target_percent,
    serving_us / nullif(known_us, 0) >= target as meets_target
from summed
order by day, store, model_id, revision
