-- How fallback decisions turned out, by kind of decision.
-- An outcome belongs to the decision with the same decision_id; a decision told twice counts once.
-- columns:
--   action: what was decided
--   decisions: how many
--   worked: how many served their purpose
--   failed: how many did not
--   open: how many have no outcome yet
--   effectiveness: worked by known outcomes, null without any
--   mean_score: mean compatibility of the decisions, null where none was told
--   p50_seconds: median time to the outcome that was told
-- parameters:
--   days double = 90: how far back
--   now timestamptz = now: where the history ends
-- depends: recent
with recent as (
    select *, coalesce(decision_id, event_id) as decision
    from recent($days, $now)
    where kind in ('fallback', 'fallback_outcome')
),
decided as (
    select decision, arg_max(action, event_time) as action, arg_max(score, event_time) as score
    from recent
    where kind = 'fallback'
    group by decision
),
ended as (
    select decision, arg_max(success, event_time) as success, arg_max(seconds, event_time) as seconds
    from recent
    where kind = 'fallback_outcome'
    group by decision
)
select
    decided.action,
    count(*) as decisions,
    count(*) filter (ended.success) as worked,
    count(*) filter (not ended.success) as failed,
    count(*) filter (ended.success is null) as open,
    count(*) filter (ended.success) / nullif(count(ended.success), 0) as effectiveness,
    avg(decided.score) as mean_score,
    quantile_cont(ended.seconds, 0.5) as p50_seconds
from decided
left join ended using (decision)
group by decided.action
order by decisions desc, decided.action
