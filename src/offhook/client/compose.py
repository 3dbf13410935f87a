"""Params of a command, put together from keywords."""

from __future__ import annotations

import difflib
import uuid
import warnings
from collections.abc import Mapping
from typing import Any

from offhook.protocol.params import Params

__all__ = ["compose", "new_id"]


def new_id() -> str:
    """Choose a control_id or tag."""
    return str(uuid.uuid4())


def compose(struct: type[Params], given: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Put params together: what is None is left out, other keywords go as they are, with a warning that names them."""
    known = struct.__struct_encode_fields__
    for key in extra:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            warnings.warn(f"{struct.method} has no parameter {key!r}; it is sent as it is.{hint}", stacklevel=3)
    return {key: value for key, value in {**given, **extra}.items() if value is not None}
