-- How fast each source delivered: quantiles over successful downloads of at least one MiB, and over all sources as `*`.
-- rules:
--   1. The speed of a download is what was fetched by the time it took, waiting included: of that a wait is made.
--   2. confidence grows with the number of downloads and falls with their spread:
--      n / (n + 5) * slow / usual, between 0 and 1.
-- columns:
--   source: the source, or * for all
--   downloads: how many were measured
--   slow_bytes_per_second: nine of ten were faster
--   usual_bytes_per_second: half were faster
--   fast_bytes_per_second: one of ten was faster
--   confidence: how far the usual speed can be relied on, 0 to 1
-- parameters:
--   days_back double = 30: how far back
--   until_time timestamptz = now: where the history ends
-- depends: recent
with measured as (
    select source, bytes_fetched / seconds as speed
    from recent(days_back, until_time)
    where kind = 'download' and success and seconds > 0 and bytes_fetched >= 1048576
),
grouped as (
    select
        case when grouping(source) = 1 then '*' else source end as source,
        count(*) as downloads,
        quantile_cont(speed, [0.1, 0.5, 0.9]) as speeds
    from measured
    group by grouping sets ((source), ())
)
select
    source,
    downloads,
    speeds[1] as slow_bytes_per_second,
    speeds[2] as usual_bytes_per_second,
    speeds[3] as fast_bytes_per_second,
    downloads / (downloads + 5) * speeds[1] / speeds[2] as confidence
from grouped
where downloads > 0
