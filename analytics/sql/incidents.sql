-- Each time a model that had been available could not be used, the latest first. The rules stand above outages.
-- columns:
--   store: which store
--   model_id: the model
--   revision: the revision
--   started_at: the first observation in which it could not be used
--   ended_at: the first in which it could again; null while it lasts
--   seconds_to_detect: since the last observation in which it could be used; at most so long was it unnoticed
--   seconds_to_repair: from its beginning to its end; null while it lasts
--   was_corrupted: it was seen corrupted
--   statuses: what it was seen to be
--   is_open: it lasts
-- parameters:
--   days double = 90: incidents that began before are left out
--   overlap_seconds double = 2: how near two runs are too near to be put in order
--   now timestamptz = now: where the history ends
-- depends: outages
select
    store,
    model_id,
    revision,
    started_at,
    ended_at,
    (epoch_us(started_at) - epoch_us(last_good_at)) / 1e6 as seconds_to_detect,
    (epoch_us(ended_at) - epoch_us(started_at)) / 1e6 as seconds_to_repair,
    was_corrupted,
    statuses,
    ended_at is null as is_open
from outages($overlap_seconds, $now)
where not is_first and started_at >= $now - to_microseconds(cast($days * 864e8 as bigint))
order by started_at desc, store, model_id, revision
