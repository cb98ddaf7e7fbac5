"""Base of every part of a config: frozen, strict, with complaints of one line; and JSON without its loopholes."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import ParameterError, choices, quoted


class Frozen(BaseModel):
    """A part of a config. Unknown fields, wrong types and values out of range raise ParameterError."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def __init__(self, **values: Any):
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ParameterError(_explain(error, type(self).model_fields)) from None


def canonical_json(value: object) -> str:
    """One text for one value: keys sorted, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def parse_json(text: str, origin: str) -> Any:
    """JSON without its loopholes: a key that stands twice, NaN and Infinity are errors."""

    def refuse(constant: str) -> None:
        raise ParameterError(f"{origin}: {constant} is not a number that JSON has")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for key, value in pairs:
            if key in seen:
                raise ParameterError(f"{origin}: the key {key!r} stands twice")
            seen[key] = value
        return seen

    try:
        value = json.loads(text, parse_constant=refuse, object_pairs_hook=unique)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair is no text
        return value
    except ParameterError:
        raise
    except (ValueError, RecursionError) as error:
        raise ParameterError(f"{origin}: not JSON: {error}") from None


def parse_value(text: str) -> Any:
    """The value in `key=value`: JSON where it is JSON (3, 0.5, true, null), else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def fault(error: ValidationError) -> str:
    """The first complaint about data that are no config: where, and what is wrong."""
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _explain(error: ValidationError, fields: Collection[str]) -> str:
    """The first complaint in one line: path, value received, what is allowed."""
    first = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return f"{path}: no such field; {nearest(path, fields)}"
    if first["type"] == "missing":
        return f"{path}: a value is needed"
    if isinstance(first.get("ctx", {}).get("error"), ParameterError):  # a section's own complaint begins with its field
        return f"{path}.{message}"
    if first["type"] == "value_error":
        return f"{path}: {message}".removeprefix(": ")
    return f"{path}: {quoted(first['input'])} received; {message[0].lower()}{message[1:]}"


def nearest(name: object, known: Collection[str], most: int = 1, otherwise: str = "") -> str:
    """The end of a complaint about a name: those that are near, or else what there is."""
    close = difflib.get_close_matches(str(name), known, most)
    return f"did you mean {' or '.join(close)}?" if close else otherwise or f"choose one of {choices(known)}"
