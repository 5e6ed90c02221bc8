"""The whole road, as one attempt: what an earlier attempt has found out, brought and proven is not done again."""

from availability.download import Download
from availability.plan import Plan
from availability.road.checking import check, confirm
from availability.road.fetching import fetch, reserve
from availability.road.planning import Ready, plan
from availability.road.publishing import publish
from availability.road.repairing import repair


def travel(download: Download) -> Ready:
    """Take one model from wherever it is to verified and published: plan, fetch, check, repair, publish.

    Raises:
        TransientError: another attempt can end better; it goes on where this one has come to.
        FinalError: refused, cancelled, or the disk is at fault.
    """
    download.begun = True
    if download.plan is None:
        download.plan = _planned(download)
    made = download.plan
    if made.absent:
        fetch(download, made)
    findings = check(download, made)
    if findings:
        repair(download, made, findings)
        confirm(download, made)
    return publish(download, made)


def _planned(download: Download) -> Plan:
    made = plan(download)
    reserve(download, made)
    return made
