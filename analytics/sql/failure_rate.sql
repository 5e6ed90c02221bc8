-- What share of downloads failed of late; no row where there were too few to speak of a share.
-- columns:
--   failures: how many failed; what a person paused or cancelled did not
--   downloads: how many ended, well or not
--   failure_percent: the share of those that failed
--   models: how many models failed
--   last_at: the latest failure
-- parameters:
--   hours double = 24: how far back
--   least_downloads integer = 5: how many downloads a share needs
--   now timestamptz = now: where the history ends
-- depends: recent
select
    count(*) filter (not success) as failures,
    count(*) as downloads,
    round(100 * count(*) filter (not success) / count(*), 1) as failure_percent,
    count(distinct model_id) filter (not success) as models,
    max(event_time) filter (not success) as last_at
from recent($hours / 24, $now)
where kind = 'download'
    and not regexp_matches(coalesce(error_kind, ''), 'Cancelled|Paused')
having count(*) >= $least_downloads
