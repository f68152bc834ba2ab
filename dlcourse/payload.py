"""The wire format of a checked value: ``encode`` in the kernel, ``decode`` in the trusted process.

A value is a JSON object with one key:

``{"npy": base64}``     a numeric or boolean array in NumPy's own format, never a pickle
``{"json": value}``     numbers, strings, booleans, None, and lists and string-keyed dictionaries of them
``{"list": [...]}``     several encoded values in order
``{"unusable": text}``  something that cannot be graded, and what it was
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
from typing import Any

import numpy as np

MIME = "application/vnd.dlcourse.check+json"
MAX_BYTES = 16 * 2**20  # of one encoded value
MAX_PARTS = 64  # of one list
MAX_DEPTH = 8  # of nested JSON
_NUMERIC = "biuf"  # numpy's dtype kinds: boolean, signed, unsigned, floating


class PayloadError(ValueError):
    """A payload that cannot be read as a value; the message says why."""


def to_array(value: Any) -> np.ndarray:
    """Return ``value`` as a numeric array: NumPy arrays, torch tensors, numbers and nested lists of numbers.

    Raises:
        PayloadError: the value is not numeric (None, text, objects, complex numbers, ragged lists).
    """
    if hasattr(value, "detach") and hasattr(value, "cpu"):  # a torch tensor, without importing torch
        value = value.detach().cpu()
        value = value.float().numpy() if str(value.dtype) == "torch.bfloat16" else value.numpy()
    if value is None or isinstance(value, (str, bytes, dict, set)):
        raise PayloadError(f"not an array of numbers but {describe(value)}")
    try:
        array = np.asarray(value)
    except Exception:
        raise PayloadError(f"not an array of numbers but {describe(value)}") from None
    if array.dtype.kind not in _NUMERIC:
        raise PayloadError(f"not an array of numbers but {describe(value)}")
    return array


def describe(value: Any) -> str:
    """Name the type of a value in words that a learner can use."""
    if value is None:
        return "None (is a `return` missing?)"
    if isinstance(value, np.ndarray):
        return f"an array of dtype {value.dtype}"
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of length {len(value)} that is no rectangular array of numbers"
    return f"a value of type {type(value).__name__}"


def encode_array(value: Any) -> dict[str, Any]:
    """Encode a numeric value; what cannot be encoded becomes ``unusable``, never an exception."""
    try:
        array = to_array(value)
        if array.nbytes > MAX_BYTES // 2:
            return {"unusable": f"an array of {array.nbytes / 2**20:.0f} MiB, more than a check may hand over"}
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(array).reshape(array.shape), allow_pickle=False)
    except Exception as error:
        return {"unusable": str(error)[:200]}
    return {"npy": base64.b64encode(buffer.getvalue()).decode("ascii")}


def encode_json(value: Any) -> dict[str, Any]:
    """Encode a plain value exactly; NumPy scalars and tuples become their plain counterparts."""
    try:
        plain = _plain(value)
        if len(json.dumps(plain, allow_nan=False)) > MAX_BYTES:
            return {"unusable": "a value larger than a check may hand over"}
    except Exception:
        return {"unusable": describe(value)}
    return {"json": plain}


def _plain(value: Any, depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        raise PayloadError("nested too deep")
    if value is None or type(value) in (bool, int, str):
        return value
    if isinstance(value, (np.bool_, np.integer, np.floating, np.ndarray)) or hasattr(value, "detach"):
        return _plain(to_array(value).tolist(), depth + 1)
    if type(value) is float:
        if not math.isfinite(value):
            raise PayloadError("not finite")
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, dict) and all(type(key) is str for key in value):
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    raise PayloadError(describe(value))


def decode(encoded: Any) -> Any:
    """Return the value that was encoded: an array, a plain value, or a list of them.

    Reads hostile input: no pickle, no object arrays, bounded size and nesting.

    Raises:
        PayloadError: the payload is malformed, unusable or too large.
    """
    if not isinstance(encoded, dict) or len(encoded) != 1:
        raise PayloadError("a malformed value")
    (form, content), *_ = encoded.items()
    if form == "npy":
        return _decode_npy(content)
    if form == "json":
        try:
            plain = _plain(content)
        except RecursionError:
            raise PayloadError("nested too deep") from None
        if len(json.dumps(plain)) > MAX_BYTES:
            raise PayloadError("a value that is too large")
        return plain
    if form == "list" and isinstance(content, list) and len(content) <= MAX_PARTS:
        if any(isinstance(part, dict) and "list" in part for part in content):
            raise PayloadError("a malformed value")
        return [decode(part) for part in content]
    if form == "unusable" and isinstance(content, str):
        raise PayloadError(content[:200])
    raise PayloadError("a malformed value")


def _decode_npy(content: Any) -> np.ndarray:
    if not isinstance(content, str):
        raise PayloadError("a malformed array")
    if len(content) > MAX_BYTES:
        raise PayloadError(f"an array that is too large ({len(content) / 2**20:.0f} MiB)")
    try:
        raw = base64.b64decode(content, validate=True)
        buffer = io.BytesIO(raw)
        version = np.lib.format.read_magic(buffer)
        if version != (1, 0):
            raise PayloadError("a malformed array")
        shape, _, dtype = np.lib.format.read_array_header_1_0(buffer)
        # The header is believed only as far as the bytes behind it reach: no allocation on a claim.
        if dtype.hasobject or dtype.kind not in _NUMERIC or math.prod(shape) * dtype.itemsize != len(raw) - buffer.tell():
            raise PayloadError("a malformed array")
        buffer.seek(0)
        return np.load(buffer, allow_pickle=False)
    except PayloadError:
        raise
    except (ValueError, TypeError, binascii.Error, EOFError, OverflowError, SyntaxError, MemoryError, RecursionError):
        raise PayloadError("a malformed array") from None
