-- Each time a model could not be used: from the first observation that says so to the first that says it can again.
-- rules:
--   1. Contested observations neither begin nor end an outage.
--   2. A time of which nothing is known does not split one: what was broken before and after it was not seen whole.
--   3. An outage before which the model had never been available is no incident: the model was on its way (is_first).
--   4. When it began and ended lies between observations; so detection and recovery are told as upper bounds.
-- columns:
--   store: which store
--   model_id: the model
--   revision: the revision
--   last_good_at: the last observation in which it could be used; null when there was none
--   started_at: the first observation in which it could not
--   ended_at: the first in which it could again; null while it lasts
--   is_first: it had never been available before
--   was_corrupted: it was seen corrupted
--   statuses: what it was seen to be, in order of first sight
--   observations: how many there were
-- parameters:
--   overlap_seconds double = 2: how near two runs are too near to be put in order
--   until_time timestamptz = now: where the history ends
-- depends: instants
with agreed as (
    select
        *,
        count(*) filter (is_serving) over (
            partition by store, model_id, revision
            order by observed_at
            rows between unbounded preceding and current row
        ) as good_so_far
    from instants(overlap_seconds, until_time)
    where status is not null
),
good as (
    select store, model_id, revision, good_so_far, observed_at
    from agreed
    where is_serving
),
bad as (
    select
        store,
        model_id,
        revision,
        good_so_far,
        min(observed_at) as started_at,
        bool_or(status = 'corrupted') as was_corrupted,
        list(status order by observed_at) as seen,
        count(*) as observations
    from agreed
    where not is_serving
    group by store, model_id, revision, good_so_far
)
select
    bad.store,
    bad.model_id,
    bad.revision,
    before.observed_at as last_good_at,
    bad.started_at,
    after.observed_at as ended_at,
    before.observed_at is null as is_first,
    bad.was_corrupted,
    list_filter(bad.seen, lambda word, place: list_position(bad.seen, word) = place) as statuses,
    bad.observations
from bad
left join good as before
    on bad.store = before.store and bad.model_id = before.model_id
    and bad.revision = before.revision and before.good_so_far = bad.good_so_far
left join good as after
    on bad.store = after.store and bad.model_id = after.model_id
    and bad.revision = after.revision and after.good_so_far = bad.good_so_far + 1
