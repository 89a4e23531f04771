"""A handler of the module logging that writes to the log database."""

from __future__ import annotations

import logging
from typing import Any, Optional


class LogHandler(logging.Handler):
    """Sends records to the log database of a store, without waiting for an answer.

    The `source` of an entry is the name of the logger, unless one is given. When no broker can be reached the record is
    lost, and `handleError` says so, as with other handlers. The client may be shared with other uses.

        logging.getLogger().addHandler(sluice.LogHandler(sluice.connect(folder)))
    """

    def __init__(self, client: Any, source: Optional[str] = None, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self._client, self._source = client, source

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._client.log_later(record.levelno, self.format(record), source=self._source or record.name)
        except Exception:
            self.handleError(record)
