"""All sources of a model in their order, as one source: each request goes to whoever can serve it best just now.

It moves on when one fails, and remembers why. What the bytes must be is never asked here but of a trusted member; who
receives them proves them and tells the chain, which then knows whom to ask for the next file.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

from availability.arrival import check_whole, wrong_bytes
from availability.digests import CHUNK_BYTES
from availability.errors import EnhancedModelAvailabilityError, SourceUnavailableError, TransientError
from availability.model import FileRecord, Listing, ModelId
from availability.sources.account import ABSENT
from availability.sources.base import Body, Source
from availability.sources.body import SourcedBody
from availability.sources.member import Member
from availability.sources.pace import too_slow
from availability.sources.standings import Standings
from availability.sources.verdict import BINDING, Cause, bound, told


@dataclass(frozen=True, slots=True)
class ChainPolicy:
    """How a chain uses its members.

    Attributes:
        spread: several are asked at once when the line of one is what is slow.
        slow_share: a source that sends less than this share of what another does is left for that one; 0 never.
    """

    spread: bool = True
    slow_share: float = 0.1


class Chain:
    """Several sources as one; it keeps the protocol `Source`."""

    name = "the sources"

    def __init__(
        self,
        members_of: Callable[[ModelId], Sequence[Member]],
        *,
        standings: Standings | None = None,
        policy: ChainPolicy | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Make a chain.

        Args:
            members_of: the sources of a model, the preferred one first.
            standings: where their records are kept.
            policy: how they are used.
            clock: seconds.
        """
        self._members_of = members_of
        self._standings = standings or Standings(None)
        self._policy = policy or ChainPolicy()
        self._clock = clock
        self._bodies: set[SourcedBody] = set()
        # By file and source, how the source failed with it last; until the file is proven.
        self._failures: dict[str, dict[str, EnhancedModelAvailabilityError]] = {}

    def members(self, model: ModelId) -> Sequence[Member]:
        """Return the sources of a model, the preferred one first."""
        return self._members_of(model)

    # --- asking ---

    def listing(self, model: ModelId) -> Listing:
        """Say what the revision consists of now, as a trusted member says it; see `Source.listing`."""
        causes: list[Cause] = []
        for member in self._members_of(model):
            if not member.is_trusted:
                continue
            try:
                return member.source.listing(model)
            except EnhancedModelAvailabilityError as error:
                member.account.failed(error)
                if isinstance(error, BINDING):
                    raise
                causes.append((member.name, error))
        raise told("the listing", str(model), causes)

    def open(self, listing: Listing, file: FileRecord, start: int, stop: int) -> SourcedBody:
        """Ask one member after the other for a range of a file, until one answers; see `Source.open`.

        Raises:
            SourceUnavailableError, RateLimitedError: none did, and it can pass.
            FinalError: none does, or a trusted one says that there is no such file or revision.
        """
        causes = _Causes()
        for member in self._in_turn(listing, file, causes):
            try:
                return self._ask(member, listing, file, start, stop)
            except EnhancedModelAvailabilityError as error:
                if member.is_trusted and isinstance(error, BINDING):
                    raise bound(error, causes.shown) from None
                causes.add(member, error)
        raise told(file.path, str(listing.model), causes.shown or causes.all)

    def verdict(self, listing: Listing, file: FileRecord, error: TransientError) -> TransientError:
        """Return what is told when a file is given up: how each source failed with it, or `error` where one did."""
        failures = self._failures.get(file.digest, {})
        causes: list[Cause] = []
        for member in self._members_of(listing.model):
            # Who was not asked for this file had failed with another just before.
            failure = failures.get(member.name) or (None if member.is_local else member.last_error)
            if failure is not None:
                causes.append((member.name, failure))
        if len(causes) < 2:
            return error
        whole = told(file.path, str(listing.model), causes)
        return whole if isinstance(whole, TransientError) else error

    def has_another(self, listing: Listing, file: FileRecord) -> bool:
        """Say whether somebody can be asked for a file who has not failed with it just now."""
        return any(self._good(listing, file))

    # --- being told what became of the bytes ---

    def proved(
        self, file: FileRecord, model: ModelId, shares: Mapping[str, int], liars: frozenset[str] = frozenset()
    ) -> None:
        """Note that a file is what its publisher says.

        Args:
            file: which.
            model: of which model.
            shares: how many of its chunks each source has sent.
            liars: who has sent a chunk that had to be replaced.
        """
        self._failures.pop(file.digest, None)
        for member in self._members_of(model):
            member.end_trial(file.digest)
            if member.name in liars and file.digest not in member.doubts:
                member.struck(wrong_bytes(file, "another digest in one of its chunks"))
            elif member.name in shares and member.name not in liars:
                count = min(file.size, shares[member.name] * CHUNK_BYTES)
                member.account.proven(count, is_large=file.size > CHUNK_BYTES)
                member.doubts.discard(file.digest)

    def disproved(
        self, listing: Listing, file: FileRecord, got: str, senders: frozenset[str], culprit: str | None
    ) -> frozenset[str] | None:
        """Note that a file is not what its publisher says; return whose bytes to replace.

        Args:
            listing: of which commit.
            file: which.
            got: the digest it has.
            senders: who has sent something of it; of several the untrusted are doubted first.
            culprit: who has sent all of it, None when it was not one alone.

        Returns:
            The names of the suspects; None when nobody else can be asked.
        """
        members = [member for member in self._members_of(listing.model) if member.name in senders]
        fresh = [member for member in members if not member.is_trusted and file.digest not in member.doubts]
        suspects = fresh or members
        # To whom it was given again is doubted already: nobody else was there to ask.
        is_hopeless = bool(members) and all(file.digest in member.doubts for member in members)
        for member in suspects:
            member.end_trial(file.digest)
            if member.name == culprit and file.digest not in member.doubts:
                member.struck(wrong_bytes(file, got))
            self._note(member, file, wrong_bytes(file, got))
            member.doubts.add(file.digest)
        if is_hopeless or not self.has_another(listing, file):
            return None
        return frozenset(member.name for member in suspects)

    # --- while bytes come ---

    def watch(self) -> None:
        """Be called often while bytes come: whoever is much slower than another is left for that one."""
        for body in [*self._bodies]:
            pace = body.pace()
            if pace is not None and self._policy.slow_share and not body.member.is_local:
                others = [other for other in self._good(body.listing, body.file) if other is not body.member]
                judged = too_slow(body, pace, others, self._policy.slow_share)
                if judged is not None:
                    body.drop(judged)
        self._standings.save_now_and_then()

    def rest(self, model: ModelId, digests: Sequence[str]) -> None:
        """Be told that a transfer has ended: nothing is on trial any more, and the records are kept."""
        for digest in digests:
            self._failures.pop(digest, None)
            for member in self._members_of(model):
                member.end_trial(digest)
        self._standings.save()

    def _good(self, listing: Listing, file: FileRecord) -> Iterator[Member]:
        for member in self._members_of(listing.model):
            if member.is_good_for(file) and member.lacks(listing, file) is None:
                yield member

    def _in_turn(self, listing: Listing, file: FileRecord, causes: "_Causes") -> Iterator[Member]:
        """Yield members in the order in which they are asked, each with a place reserved."""
        members = self._members_of(listing.model)
        good = [*self._good(listing, file)]
        busy = []
        for member in good:
            if member.reserve(file, strictly=len(members) > 1, spread=self._policy.spread):
                yield member
            else:
                busy.append(member)
        rest = [member for member in members if member not in good]
        rest.sort(key=lambda member: (file.digest in member.doubts, not member.account.breaker.may_be_asked))
        for member in [*sorted(busy, key=lambda one: (one.is_on_probation, one.load)), *rest]:
            lacking = member.lacks(listing, file)
            if lacking is not None:
                causes.add(member, lacking)
                continue
            member.reserve(file, strictly=False)
            yield member

    def _ask(self, member: Member, listing: Listing, file: FileRecord, start: int, stop: int) -> SourcedBody:
        try:
            if file.size > CHUNK_BYTES and member.is_on_probation and not member.was_examined:
                self._examine(member, listing, file)
            body = self._request(member, listing, file, start, stop)
        except BaseException as error:
            member.release()
            if isinstance(error, EnhancedModelAvailabilityError):
                member.failed(listing, file, error)
                self._note(member, file, error)
            raise
        made = SourcedBody(body, member, listing, file, on_close=self._closed, clock=self._clock)
        self._bodies.add(made)
        return made

    def _closed(self, body: SourcedBody) -> None:
        self._bodies.discard(body)
        if body.failure is not None:
            self._note(body.member, body.file, body.failure)

    def _note(self, member: Member, file: FileRecord, error: EnhancedModelAvailabilityError) -> None:
        if not (member.is_local and isinstance(error, ABSENT)):
            self._failures.setdefault(file.digest, {})[member.name] = error

    def _examine(self, member: Member, listing: Listing, file: FileRecord) -> None:
        """Let a source that has proven nothing yet send a small file before it is given a large one.

        Raises:
            DownloadIntegrityError: it sent something else.
        """
        small = [one for one in listing.files if 0 < one.size <= CHUNK_BYTES]
        others = [other for other in self._good(listing, file) if other is not member]
        if small and others:
            sample = min(small, key=lambda one: (one.size, one.path))
            body = self._request(member, listing, sample, 0, sample.size)
            content = bytearray()
            try:
                while len(content) < sample.size and (data := body.read(sample.size - len(content))):
                    content += data
            finally:
                body.close()
            check_whole(sample, content)
        member.was_examined = True

    def _request(self, member: Member, listing: Listing, file: FileRecord, start: int, stop: int) -> Body:
        member.account.asked()
        began = self._clock()
        try:
            body = member.source.open(listing, file, start, stop)
        except EnhancedModelAvailabilityError:
            raise
        except Exception as error:
            raise SourceUnavailableError(
                f"{member.name} raised {type(error).__name__} when it was asked for {file.path}", kind="malformed"
            ) from error
        member.account.answered(self._clock() - began)
        return body


class _Causes:
    """Why each of the sources that were asked did not help."""

    def __init__(self) -> None:
        self.all: list[Cause] = []
        self.shown: list[Cause] = []

    def add(self, member: Member, error: EnhancedModelAvailabilityError) -> None:
        """Note one; that a place on this machine does not have something is no news to anybody."""
        self.all.append((member.name, error))
        if not (member.is_local and isinstance(error, ABSENT)):
            self.shown.append((member.name, error))


def chain_of(source: Source) -> Chain:
    """Return a source as a chain: itself, or a chain of it alone."""
    if isinstance(source, Chain):
        return source
    alone = (Member(source, is_trusted=True),)
    return Chain(lambda _: alone)
