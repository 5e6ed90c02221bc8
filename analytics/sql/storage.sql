-- What each stored model takes on the disk, by the latest observation of each store and revision, the largest first.
-- columns:
--   store: which store
--   model_id: the model
--   revision: the revision
--   status: what it was when it was last looked at
--   size_bytes: its size
--   share: of all sizes together
--   pinned: whether clean-up must leave it alone
--   observed_at: when it was last looked at
-- depends: inventory
select
    store,
    model_id,
    revision,
    status,
    size_bytes,
    size_bytes / nullif(sum(size_bytes) over (), 0) as share,
    pinned,
    observed_at
from inventory
where is_stored
order by size_bytes desc nulls last, store, model_id, revision
