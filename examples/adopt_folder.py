"""Take over a model that was copied in by hand, from a stick or an archive, and download only what is wrong with it.

    python examples/adopt_folder.py /mnt/usb/SmolLM2 HuggingFaceTB/SmolLM2-135M-Instruct

Every file is compared with the publisher's digests, so the hub is asked for its listing, but for no content that is
right. The folder itself is only read.
"""

import sys

from availability import adopt, ensure
from availability.errors import IncompleteModelError


def main(folder: str, model: str) -> None:
    """Adopt a folder, and fetch what it does not hold."""
    try:
        outcome = adopt(folder, model)
    except IncompleteModelError as error:
        print(error.message)
        for finding in error.tried:
            print(f"  {finding}")
        outcome = ensure(model)
    print(f"{model} is in {outcome.path}; {outcome.bytes_fetched:,} of {outcome.bytes_total:,} bytes were fetched.")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
