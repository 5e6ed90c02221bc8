"""What is logged: how much of each part, and the log file of the command line; where else lines go, the caller says.

Under Prefect they belong to the flow run (PREFECT_LOGGING_EXTRA_LOGGERS names our loggers). Lines on a model's road
name the download, whose id is the flow run's there.
"""

import logging
import time
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from availability.masking import masked
from availability.settings import Settings

LOGGERS = ("availability", "analytics")
"""The parts that are ours; what they are called inside are the names of their modules."""
_OTHERS = ("huggingface_hub", "urllib3")
_LINE = "%(asctime)s %(levelname)s %(name)s %(process)d %(message)s"
_OLD_LOGS = 2


def set_levels(settings: Settings) -> None:
    """Let each part log as much as the settings say."""
    for name in (*LOGGERS, *_OTHERS):
        logging.getLogger(name).setLevel(settings.log_level)
    for said in settings.log_levels:
        name, _, level = said.partition("=")
        logging.getLogger(name).setLevel(level)


class Masked(logging.Formatter):
    """Formats a record, its traceback included, and leaves out what looks like a secret. Times are in UTC."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return masked(super().format(record))


class LogFile(RotatingFileHandler):
    """The log of the command line. It is there for people: a disk that does not take it disturbs no command."""

    def __init__(self, settings: Settings) -> None:
        """Name the file; it is made with the first line, and never before the state folder is."""
        self._must_exist = None if settings.log_file else settings.storage.cache_directory
        super().__init__(
            settings.log_path,
            maxBytes=round(settings.log_file_mib * 1024**2),
            backupCount=_OLD_LOGS,
            encoding="utf-8",
            delay=True,
        )
        self.setFormatter(Masked(_LINE))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, unless it would make a state folder: looking at a model writes nothing."""
        if self._must_exist is None or self._must_exist.is_dir():
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Say nothing."""

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        return super()._open()
