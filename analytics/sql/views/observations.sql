-- Every observation of a model's status, one a row, with the key that tells what was observed.
-- columns:
--   store: which store, empty where there is only one
--   model_id: the model
--   revision: the revision that was asked for, main where none was named
--   observed_at: when
--   status: one of the five words
--   run_id: the run that looked
--   target: the share of time it should be available
--   pinned: whether clean-up must leave it alone
--   size_bytes: its size
--   commit_hash: what the revision pointed to
-- depends: events
select
    coalesce(store, '') as store,
    model_id,
    coalesce(revision, 'main') as revision,
    event_time as observed_at,
    status,
    run_id,
    target,
    pinned,
    size_bytes,
    commit_hash
from events
where kind = 'status' and status is not null and model_id is not null
