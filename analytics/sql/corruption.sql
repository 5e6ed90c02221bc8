-- What was found wrong with each model: checks, how many were not passed, which defects, when last.
-- columns:
--   model_id: the model
--   checks: how many checks ended
--   failed_checks: how many found something
--   findings: how many defects were told
--   defects: their kinds, in alphabetic order
--   bytes_checked: what the checks read
--   last_finding: the latest defect
--   last_check: the latest check
-- parameters:
--   days double = 90: how far back
--   now timestamptz = now: where the history ends
-- depends: recent
select
    model_id,
    count(*) filter (kind = 'check') as checks,
    count(*) filter (kind = 'check' and not success) as failed_checks,
    count(*) filter (kind = 'finding') as findings,
    coalesce(list_sort(list(distinct error_kind) filter (kind = 'finding')), []) as defects,
    cast(coalesce(sum(size_bytes) filter (kind = 'check'), 0) as bigint) as bytes_checked,
    max(event_time) filter (kind = 'finding') as last_finding,
    max(event_time) filter (kind = 'check') as last_check
from recent($days, $now)
where kind in ('check', 'finding') and model_id is not null
group by model_id
order by findings desc, failed_checks desc, model_id
