-- Spans cut at midnight of a time zone and added up: how long each model was in each status on each day.
-- rules:
--   1. A day lasts from its midnight to the next one in the zone, be that 23, 24 or 25 hours.
--   2. Known time is time in one of the five words; percentages are of known time, and null when nothing is known.
--   3. A model is available while it is available or updating (the version before still serves).
--   4. at_least and at_most are the bounds: a change between two observations happened as early, or as late, as it can.
-- columns:
--   store: which store
--   model_id: the model
--   revision: the revision
--   day: the day in the zone
--   available_us: microseconds available
--   updating_us: microseconds updating
--   downloading_us: microseconds downloading
--   missing_us: microseconds missing
--   corrupted_us: microseconds corrupted
--   unknown_us: microseconds of which nothing is known
--   known_us: microseconds in one of the five words
--   serving_us: microseconds in which it could be used
--   surely_us: at least so many of them
--   maybe_us: at most so many of them
--   target: the share of time it should be available, as last told
-- parameters:
--   max_gap_minutes double = 90: how far apart two observations may be for the time between them to be known
--   overlap_seconds double = 2: how near two runs are too near to be put in order
--   until_time timestamptz = now: where the history ends
--   zone_name varchar = UTC: the time zone of the days
-- depends: spans
with local as (
    select
        *,
        unnest(generate_series(
            date_trunc('day', timezone(zone_name, started_at)),
            date_trunc('day', timezone(zone_name, ended_at)),
            interval 1 day
        )) as midnight
    from spans(max_gap_minutes, overlap_seconds, until_time)
),
cut as (
    select
        * exclude (midnight),
        cast(midnight as date) as day,
        epoch_us(least(ended_at, timezone(zone_name, midnight + interval 1 day)))
        - epoch_us(greatest(started_at, timezone(zone_name, midnight))) as us
    from local
)
select
    store,
    model_id,
    revision,
    day,
    cast(coalesce(sum(us) filter (status = 'available'), 0) as bigint) as available_us,
    cast(coalesce(sum(us) filter (status = 'updating'), 0) as bigint) as updating_us,
    cast(coalesce(sum(us) filter (status = 'downloading'), 0) as bigint) as downloading_us,
    cast(coalesce(sum(us) filter (status = 'missing'), 0) as bigint) as missing_us,
    cast(coalesce(sum(us) filter (status = 'corrupted'), 0) as bigint) as corrupted_us,
    cast(coalesce(sum(us) filter (status = 'unknown'), 0) as bigint) as unknown_us,
    cast(coalesce(sum(us) filter (status <> 'unknown'), 0) as bigint) as known_us,
    cast(coalesce(sum(us) filter (is_serving), 0) as bigint) as serving_us,
    cast(coalesce(sum(us) filter (surely_serving), 0) as bigint) as surely_us,
    cast(coalesce(sum(us) filter (maybe_serving), 0) as bigint) as maybe_us,
    arg_max(target, started_at) as target
from cut
where us > 0
group by store, model_id, revision, day
