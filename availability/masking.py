"""Making texts fit to be shown: what looks like a secret, or is known to be one, is replaced.

It is the last line of defence, for logs and for what people send to each other; no secret should come as far as here.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

MASK = "***"

_SHAPES = (
    re.compile(r"hf_[A-Za-z0-9]{8,}|pn[ub]_[A-Za-z0-9]{8,}"),  # tokens of the Hub and of Prefect Cloud
    re.compile(r"(?<=//)[^/@\s]+(?=@)"),  # the name and the password in an address
    re.compile(r"(?i)(?<=bearer )\S+|(?<=basic )[A-Za-z0-9+/=]{8,}"),
)
_PARAMETER = re.compile(r"(?i)([?&;][\w-]*(?:key|token|secret|password|signature|credential|sig)=)[^&\s\"']+")
_SECRET_NAME = re.compile(r"(?i)token|secret|passw|api_?key|access_?key|auth_string|credential|webhook")
_LEAST_LETTERS = 6
"""A shorter value is found in any text, and is no secret."""


def masked(text: str, known: Iterable[str] = ()) -> str:
    """Return a text without secrets: what has their shape, and what is known to be one."""
    for secret in known:
        text = text.replace(secret, MASK)
    for shape in _SHAPES:
        text = shape.sub(MASK, text)
    return _PARAMETER.sub(rf"\1{MASK}", text)


def masked_data(data: Any, known: Iterable[str] = ()) -> Any:
    """Return plain data in which every text is masked, keys too; what is no text, number or container becomes one."""
    secrets = tuple(known)
    match data:
        case None | bool() | int() | float():
            return data
        case Mapping():
            return {masked(str(key), secrets): masked_data(value, secrets) for key, value in data.items()}
        case list() | tuple():
            return [masked_data(value, secrets) for value in data]
        case _:
            return masked(str(data), secrets)


def secrets_of(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of an environment that are secrets by the names of their variables, the longest first."""
    found = {value for name, value in env.items() if _SECRET_NAME.search(name) and len(value) >= _LEAST_LETTERS}
    return tuple(sorted(found, key=len, reverse=True))
