-- How available each model was: the time in each status, the share of known time in which it could be used, and whether
-- that meets its target. The rules stand above spans and days.
-- columns:
--   store: which store
--   model_id: the model
--   revision: the revision
--   available_seconds: time available
--   updating_seconds: time updating
--   downloading_seconds: time downloading
--   missing_seconds: time missing
--   corrupted_seconds: time corrupted
--   unknown_seconds: time of which nothing is known
--   percent_available: available or updating, in percent of known time; null when nothing is known
--   at_least_percent: if every change came as early as it can have
--   at_most_percent: if every change came as late as it can have
--   coverage_percent: known time in percent of all time since the first observation
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
        store,
        model_id,
        revision,
        sum(available_us) as available_us,
        sum(updating_us) as updating_us,
        sum(downloading_us) as downloading_us,
        sum(missing_us) as missing_us,
        sum(corrupted_us) as corrupted_us,
        sum(unknown_us) as unknown_us,
        sum(known_us) as known_us,
        sum(serving_us) as serving_us,
        sum(surely_us) as surely_us,
        sum(maybe_us) as maybe_us,
        arg_max(target, day) as target
    from days($max_gap_minutes, $overlap_seconds, $now, $zone)
    where day > cast(timezone($zone, $now) as date) - cast($days as integer)
    group by store, model_id, revision
)
select
    store,
    model_id,
    revision,
    available_us / 1e6 as available_seconds,
    updating_us / 1e6 as updating_seconds,
    downloading_us / 1e6 as downloading_seconds,
    missing_us / 1e6 as missing_seconds,
    corrupted_us / 1e6 as corrupted_seconds,
    unknown_us / 1e6 as unknown_seconds,
    100 * serving_us / nullif(known_us, 0) as percent_available,
    100 * surely_us / nullif(known_us, 0) as at_least_percent,
    100 * maybe_us / nullif(known_us, 0) as at_most_percent,
    100 * known_us / (known_us + unknown_us) as coverage_percent,
    100 * target as target_percent,
    serving_us / nullif(known_us, 0) >= target as meets_target
from summed
order by percent_available nulls last, store, model_id, revision
