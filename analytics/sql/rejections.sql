-- What was refused at the door, by reason, the most frequent first.
-- columns:
--   reason: what was wrong
--   rows: how often
--   last_at: the latest
--   example: one of the refused lines
-- depends: rejected
select reason, count(*) as rows, max(rejected_at) as last_at, arg_max(line, rejected_at) as example
from rejected
group by reason
order by rows desc, reason
