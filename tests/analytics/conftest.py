"""What tests of the history need."""

from tests.s3_server import s3

__all__ = ["s3"]
