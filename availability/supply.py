"""How the sources do: what is known of each, and a probe that asks each of them now.

A probe compares what a source says a model is with what the hub says, and lets it send one small file, which is proven
like any other. What comes of it goes into the records: a source that was left alone and has cooled down is taken up
again before anybody waits for it, and it is known how far a mirror is behind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import time
from typing import TypedDict

from availability.digests import CHUNK_BYTES
from availability.errors import EnhancedModelAvailabilityError
from availability.identity import find_listing
from availability.model import Commit, FileRecord, Listing, ModelId
from availability.sources.account import ABSENT, REFUSED
from availability.sources.chain import Chain
from availability.sources.member import Member
from availability.sources.standing import Freshness, StandingRecord, iso
from availability.transfer.small import fetch_whole
from availability.workspace import Workspace


class SourceStateRecord(TypedDict):
    """A `SourceState` as plain data."""

    source: str
    kind: str
    is_trusted: bool
    breaker: str
    breaker_since: str | None
    breaker_cause: str
    next_try_at: str | None
    is_well: bool | None
    error: str | None
    record: StandingRecord


@dataclass(frozen=True, slots=True)
class SourceState:
    """One source, as it is known and as it answered.

    Attributes:
        member: whom.
        is_well: whether it answered a probe, and rightly; None when it was not asked, or has nothing we could ask for.
        error: how the probe failed.
    """

    member: Member
    is_well: bool | None = None
    error: EnhancedModelAvailabilityError | None = None

    @property
    def is_usable(self) -> bool:
        """Whether it is asked like any other, and did not fail just now."""
        return self.member.account.breaker.is_closed and self.is_well is not False

    def as_dict(self) -> SourceStateRecord:
        """Return it as plain data."""
        standing, breaker = self.member.account.standing, self.member.account.breaker
        circuit, is_closed = standing.circuit, breaker.is_closed
        return SourceStateRecord(
            source=self.member.name,
            kind=self.member.kind,
            is_trusted=self.member.is_trusted,
            breaker=circuit.state,
            breaker_since=iso(circuit.changed_at or None),
            breaker_cause=circuit.cause,
            next_try_at=None if is_closed else iso(breaker.next_try_at),
            is_well=self.is_well,
            error=None if self.error is None else self.error.message,
            record=standing.as_dict(time()),
        )


def observe_sources(workspace: Workspace, model: ModelId | None = None) -> list[SourceState]:
    """Return what is known of each source, in the order in which they are asked; nobody is asked anything.

    Args:
        workspace: the installation.
        model: the sources of this model; None gives those of every model that says nothing else.
    """
    return [SourceState(member) for member in workspace.assembly.members(model)]


def probe_sources(workspace: Workspace, models: Sequence[ModelId], model: ModelId | None = None) -> list[SourceState]:
    """Ask each source how it does, and keep the answers.

    That a source does not have a model, or does not let us have it, is no failure of it. A source of this machine is
    asked for nothing: it answers at once or not at all.

    Args:
        workspace: the installation.
        models: what they are asked about; of some of them, which nobody can say anything about, nothing is asked.
        model: as in `observe_sources`.
    """
    members = workspace.assembly.members(model)
    listings = [listing for one in models if (listing := _listing(workspace, one)) is not None]
    newest = {listing.model: _newest(members, listing) for listing in listings}
    states = [_probe(member, listings, newest) for member in members]
    workspace.standings.save()
    return states


def _listing(workspace: Workspace, model: ModelId) -> Listing | None:
    try:
        return find_listing(workspace, model)
    except EnhancedModelAvailabilityError:
        return None


def _newest(members: Sequence[Member], listing: Listing) -> Commit:
    """Return the commit that a model is at now: what a trusted source says, else what we know."""
    for member in members:
        if member.is_trusted:
            try:
                return _commit_at(member, listing.model) or listing.commit
            except EnhancedModelAvailabilityError:
                continue
    return listing.commit


def _probe(member: Member, listings: Sequence[Listing], newest: Mapping[ModelId, Commit]) -> SourceState:
    if member.is_local or not listings:
        return SourceState(member)
    try:
        said = {model: _commit_at(member, model) for model in newest}
        _compare(member, newest, said)
        held = (listing for listing in listings if said[listing.model] == listing.commit)
        samples = ((listing, _sample(listing)) for listing in held)
        listing, sample = next(((one, file) for one, file in samples if file is not None), (None, None))
        if listing is not None and sample is not None:
            # In a chain of its own: this source is asked, whatever is thought of it.
            fetch_whole(Chain(lambda _: (member,)), listing, sample)
        elif any(said.values()):
            member.succeeded()
    except EnhancedModelAvailabilityError as error:
        return SourceState(member, is_well=False, error=error)
    return SourceState(member, is_well=True if any(said.values()) else None)


def _commit_at(member: Member, model: ModelId) -> Commit | None:
    """Return what a source holds of a model now, None when it has no such thing or cannot say."""
    commit = getattr(member.source, "commit", None)
    if commit is None:
        return None
    try:
        member.account.asked()
        return Commit(commit(model))
    except (*ABSENT, *REFUSED):
        return None
    except EnhancedModelAvailabilityError as error:
        member.account.failed(error)
        raise


def _compare(member: Member, newest: Mapping[ModelId, Commit], said: Mapping[ModelId, Commit | None]) -> None:
    """Note how far a source is behind; of a trusted one, which is what others are behind of, that means nothing."""
    if member.is_trusted or not hasattr(member.source, "commit"):
        return
    now, before = time(), member.account.standing.freshness
    behind = sum(said[model] != commit for model, commit in newest.items())
    since = (before.behind_since if before else None) or now
    member.account.compared(Freshness(now, len(newest), behind, since if behind else None))


def _sample(listing: Listing) -> FileRecord | None:
    small = (file for file in listing.files if 0 < file.size <= CHUNK_BYTES)
    return min(small, key=lambda file: (file.size, file.path), default=None)
