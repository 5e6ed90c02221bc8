-- What each source delivered: downloads, success, bytes, overhead, speed, attempts.
-- columns:
--   source: the source
--   downloads: how many ended, well or not
--   failures: how many failed
--   success_rate: share that worked
--   bytes_needed: what was wanted, failures included
--   bytes_fetched: what was transferred for it
--   overhead: fetched by needed, over successful downloads; 1 is no byte too many
--   p50_bytes_per_second: median speed of successful downloads
--   p95_seconds: 95th percentile of their duration
--   attempts: tries in all
--   last_at: the latest download
-- parameters:
--   days double = 30: how far back
--   now timestamptz = now: where the history ends
-- depends: recent
select
    coalesce(source, '?') as source,
    count(*) as downloads,
    count(*) filter (not success) as failures,
    count(*) filter (success) / count(*) as success_rate,
    cast(sum(bytes_needed) as bigint) as bytes_needed,
    cast(sum(bytes_fetched) as bigint) as bytes_fetched,
    sum(bytes_fetched) filter (success and bytes_needed > 0)
        / sum(bytes_needed) filter (success and bytes_needed > 0) as overhead,
    quantile_cont(bytes_fetched / seconds, 0.5) filter (success and seconds > 0) as p50_bytes_per_second,
    quantile_cont(seconds, 0.95) filter (success) as p95_seconds,
    cast(sum(attempts) as bigint) as attempts,
    max(event_time) as last_at
from recent($days, $now)
where kind = 'download'
group by coalesce(source, '?')
order by downloads desc, source
