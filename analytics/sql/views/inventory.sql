-- What was last observed of every model: the newest observation of each store, model and revision.
-- columns:
--   store: which store
--   model_id: the model
--   revision: the revision that was asked for
--   observed_at: when it was last looked at
--   status: what it was then
--   is_available: whether it could be used then
--   is_stored: whether its bytes were on the disk then, intact or not
--   target: the share of time it should be available
--   pinned: whether clean-up must leave it alone
--   size_bytes: its size
--   commit_hash: what the revision pointed to
-- depends: observations
select
    store,
    model_id,
    revision,
    max(observed_at) as observed_at,
    arg_max(status, observed_at) as status,
    arg_max(status, observed_at) in ('available', 'updating') as is_available,
    arg_max(status, observed_at) in ('available', 'updating', 'corrupted') as is_stored,
    arg_max(target, observed_at) as target,
    coalesce(arg_max(pinned, observed_at), false) as pinned,
    arg_max_null(size_bytes, observed_at) as size_bytes,
    arg_max_null(commit_hash, observed_at) as commit_hash
from observations
group by store, model_id, revision
