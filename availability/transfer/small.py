"""Receiving a small file into memory and proving it there, without writing anything."""

from availability.arrival import check_whole
from availability.errors import DownloadIntegrityError, SourceUnavailableError
from availability.model import FileRecord, Listing
from availability.sources.base import Source
from availability.sources.chain import chain_of


def fetch_whole(source: Source, listing: Listing, file: FileRecord) -> bytes:
    """Return the proven content of a file; where a source fails or sends something wrong, another one is asked.

    Raises:
        DownloadIntegrityError: what arrived is not what the publisher says, whoever sent it.
        SourceUnavailableError: it did not arrive.
    """
    chain = chain_of(source)
    while True:
        try:
            content = bytearray()
            with chain.open(listing, file, 0, file.size) as body:
                while len(content) < file.size:
                    content += body.read(file.size - len(content))
                check_whole(file, content)
            chain.proved(file, listing.model, {body.source: 1})
            return bytes(content)
        except (SourceUnavailableError, DownloadIntegrityError) as error:
            if not chain.has_another(listing, file):
                raise chain.verdict(listing, file, error) from None
