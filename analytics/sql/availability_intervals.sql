-- When each model was in which status: the intervals behind all figures of availability.
-- columns:
--   store: which store
--   model_id: the model
--   revision: the revision
--   started_at: when it begins
--   ended_at: when it ends
--   seconds: how long it lasts
--   status: one of the five words, or unknown
--   reason: why it is unknown: gap, contested, or unseen since
--   observations: how many observations it rests on
-- parameters:
--   days double = 30: intervals that ended before are left out
--   max_gap_minutes double = 90: how far apart two observations may be for the time between them to be known
--   overlap_seconds double = 2: how near two runs are too near to be put in order
--   now timestamptz = now: where the history ends
-- depends: intervals
select store, model_id, revision, started_at, ended_at, seconds, status, reason, observations
from intervals($max_gap_minutes, $overlap_seconds, $now)
where ended_at > $now - to_microseconds(cast($days * 864e8 as bigint))
order by store, model_id, revision, started_at
