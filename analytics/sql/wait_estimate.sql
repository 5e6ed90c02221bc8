-- How long so many bytes will take from each source, from what was measured, and how far that can be relied on.
-- columns:
--   source: the source, or * for all together
--   downloads: how many were measured
--   usual_bytes_per_second: half of them were faster
--   seconds: the usual wait
--   seconds_at_best: one of ten was faster than this
--   seconds_at_worst: nine of ten were faster than this
--   confidence: 0 to 1; it grows with the number of downloads and falls with their spread
-- parameters:
--   bytes double = 1000000000: what has to be fetched
--   days double = 30: how far back
--   now timestamptz = now: where the history ends
-- depends: speeds
select
    source,
    downloads,
    usual_bytes_per_second,
    $bytes / usual_bytes_per_second as seconds,
    $bytes / fast_bytes_per_second as seconds_at_best,
    $bytes / slow_bytes_per_second as seconds_at_worst,
    confidence
from speeds($days, $now)
order by source
