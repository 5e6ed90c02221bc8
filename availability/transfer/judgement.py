"""What a file's digest says about those who sent it: told to the chain, and what follows for a second delivery."""

from collections.abc import Collection
from dataclasses import dataclass

from availability.arrival import wrong_bytes
from availability.digests import CHUNK_BYTES
from availability.errors import TransientError
from availability.model import Listing
from availability.sources.chain import Chain
from availability.transfer.delivery import Delivery


@dataclass(frozen=True, slots=True)
class Judgement:
    """The chain of a transfer, and the listing by which its files are judged."""

    sources: Chain
    listing: Listing

    def proved(self, delivery: Delivery) -> None:
        """Note that a file is what its publisher says."""
        shares = delivery.journal.provenance.shares()
        self.sources.proved(delivery.file, self.listing.model, shares, delivery.liars)

    def disproved(self, delivery: Delivery) -> Collection[int] | None:
        """Note that a file is not; return the parts that somebody else shall send again at once, None when nobody can.

        Parts that no suspect has touched stay as they are.
        """
        suspects = self.sources.disproved(
            self.listing, delivery.file, delivery.got or "", delivery.senders, delivery.culprit
        )
        if suspects is None:
            return None
        parts = _parts_of(delivery, suspects)
        return parts or range(len(delivery.journal.marks))

    def verdict(self, delivery: Delivery) -> TransientError:
        """Return what is told of a file that is not what its publisher says, and that nobody else can send."""
        error = wrong_bytes(delivery.file, delivery.got or "")
        return self.sources.verdict(self.listing, delivery.file, error)


def _parts_of(delivery: Delivery, suspects: Collection[str]) -> set[int]:
    """Return the parts that hold a chunk of a suspect, or one of which it is not known who sent it."""
    journal = delivery.journal
    chunks_a_part = journal.part_bytes // CHUNK_BYTES
    owners = journal.provenance.owners()
    return {index // chunks_a_part for index, owner in enumerate(owners) if owner is None or owner in suspects}
