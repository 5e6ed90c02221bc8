"""Sources whose content is in memory, and that fail as they are told."""

from availability.errors import SourceUnavailableError
from availability.model import Listing
from availability.sources.account import Account
from availability.sources.chain import Chain, ChainPolicy
from availability.sources.member import Member
from tests.builders import KIB, MIB, file_record, listing_of, random_bytes

LARGE = random_bytes(2 * MIB, 1)
OTHER = random_bytes(2 * MIB + 1, 2)
SMALL = random_bytes(3 * KIB, 3)
CONTENTS = {"large": LARGE, "other": OTHER, "small": SMALL}
FILES = {path: file_record(content, path) for path, content in CONTENTS.items()}
LISTING = listing_of(*FILES.values())


class Bytes:
    """A body out of memory."""

    def __init__(self, content, start, stop, breaks_after=None, tag=None):
        self.start, self.stop, self.tag = start, stop, tag
        self._content = content[start:stop]
        self._left = breaks_after
        self.was_aborted = self.was_closed = False

    def read(self, most):
        if self.was_aborted:
            raise SourceUnavailableError("left", kind="broken_off")
        if self._left is not None:
            most = min(most, self._left)
            if not most:
                raise SourceUnavailableError("it broke off", kind="broken_off")
            self._left -= most
        data, self._content = self._content[:most], self._content[most:]
        return data

    def abort(self):
        self.was_aborted = True

    def close(self):
        self.was_closed = True


class Shelf:
    """A source out of memory.

    Attributes:
        error: what it answers instead, if it is told to.
        asked: the paths it was asked for, in order.
    """

    def __init__(self, name, contents=None, *, error=None, breaks_after=None, is_local=False):
        self.name = name
        self.contents = CONTENTS if contents is None else contents
        self.error = error
        self.breaks_after = breaks_after
        self.is_local = is_local
        self.asked = []
        self.bodies = []

    def listing(self, model):
        if self.error is not None:
            raise self.error
        return Listing(model, LISTING.commit, LISTING.files, self.name)

    def open(self, _listing, file, start, stop):
        self.asked.append(file.path)
        if self.error is not None:
            raise self.error
        self.bodies.append(Bytes(self.contents[file.path], start, stop, self.breaks_after))
        return self.bodies[-1]


def chain_over(*shelves, clock=None, trusted="hub", proven=(), policy=None, on_change=None):
    """Return a chain of shelves in this order; those named in `proven` have shown what they are worth."""
    members = []
    for shelf in shelves:
        account = Account(shelf.name, on_change=on_change or (lambda _: None))
        if shelf.name in proven:
            account.proven(100 * MIB, is_large=True)
        options = {} if clock is None else {"clock": clock}
        members.append(Member(shelf, shelf.name, account, is_trusted=shelf.name == trusted, **options))
    options = {} if clock is None else {"clock": clock}
    return Chain(lambda _: members, policy=policy or ChainPolicy(), **options)


def taken(chain, path="large", start=0, stop=None):
    """Read a range through a chain as those who receive bytes do; return what came and who sent it."""
    file = FILES[path]
    with chain.open(LISTING, file, start, file.size if stop is None else stop) as body:
        content = b""
        while len(content) < body.stop - body.start:
            content += body.read(MIB)
        return content, body.source
