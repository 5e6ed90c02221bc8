"""The second origin of a hub, as far as it can be judged without a socket: signed URLs for plain bytes.

The real Hub answers for large files with a redirect to another host that knows neither models nor tokens, tags the
bytes in its own way, and forgets a URL after a while. This is that host, for `service.faults`.
"""

import hashlib
import hmac
import secrets
import time
from urllib.parse import urlencode

from service.protocol import Answer, FilePart, Request

_REFUSAL = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>'


class SignedUrls:
    """The URLs that were issued, each good for `seconds`."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._secret = secrets.token_bytes(16)
        self._issued: dict[str, FilePart] = {}

    def issue(self, path: str, content: FilePart) -> str:
        """Return a target under which the content is given from now on."""
        self._issued[path] = content
        expires = str(int(time.time()) + self._seconds)
        return f"{path}?{urlencode({'expires': expires, 'signature': self._signature(path, expires)})}"

    def expire(self) -> None:
        """Let no URL that was issued until now be good any more."""
        self._secret = secrets.token_bytes(16)

    def judge(self, request: Request) -> Answer:
        """Answer with the whole content; a URL that is not or no longer good gets 403."""
        expires = request.option("expires")
        genuine = hmac.compare_digest(request.option("signature"), self._signature(request.path, expires))
        if not genuine or int(expires) < time.time():
            return Answer(403, {"Content-Type": "application/xml"}, _REFUSAL)
        content = self._issued[request.path]
        tag = hashlib.sha256(content.path.encode()).hexdigest()[:32]  # the blob's name is in it: one content, one tag
        headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", "ETag": f'"{tag}"'}
        return Answer(200, headers, content)

    def _signature(self, path: str, expires: str) -> str:
        return hmac.new(self._secret, f"{path} {expires}".encode(), hashlib.sha256).hexdigest()
