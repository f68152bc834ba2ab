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
import re
from typing import Any

import numpy as np

MIME = "application/vnd.dlcourse.check+json"
MAX_BYTES = 16 * 2**20  # of one encoded value
MAX_PARTS = 512  # of one list
MAX_DEPTH = 8  # of nested JSON
MAX_BITS = 1024  # of one integer, about as far as a float reaches
_NUMERIC = "biuf"  # numpy's dtype kinds: boolean, signed, unsigned, floating
_MAX_HEADER = 2048  # bytes; 64 axes need fewer
# Exactly what np.save writes for an array of numbers. Nothing of a header is evaluated.
_HEADER = re.compile(
    r"\{'descr': '(?P<dtype>[<>|][biuf][1248])', 'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>(?:[0-9]{1,19}, ?)*(?:[0-9]{1,19})?)\), \} *\n"
)
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]|\x9b[0-?]*[ -/]*[@-~]"
)


class PayloadError(ValueError):
    """A payload that cannot be read as a value; the message says why."""


def clean(text: str, limit: int = 200) -> str:
    """Return foreign text as one line of at most ``limit`` printable characters, without terminal escapes."""
    text = _ESCAPES.sub("", text[: 10 * limit])
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def to_array(value: Any) -> np.ndarray:
    """Return ``value`` as a numeric array: NumPy arrays, torch tensors, numbers and nested lists of these.

    The dtype is kept, in the machine's byte order; ``longdouble``, whose size depends on the machine, becomes float64.

    Raises:
        PayloadError: the value is not numeric (None, text, objects, complex numbers, ragged lists), or partly masked.
    """
    try:
        array = _as_array(value)
    except Exception:
        array = None
    if array is None or array.dtype.kind not in _NUMERIC:
        raise PayloadError(f"not an array of numbers but {describe(value)}")
    if array.dtype.itemsize > 8:
        with np.errstate(over="ignore"):
            return array.astype(np.float64)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _as_array(value: Any) -> np.ndarray | None:
    if value is None or isinstance(value, (str, bytes, bytearray, dict, set)) or _is_masked(value):
        return None
    if is_tensor(value):
        value = value.detach().cpu()
        # NumPy has no bfloat16; .resolve_neg() makes a lazily negated tensor real.
        return (value.float() if str(value.dtype) == "torch.bfloat16" else value).resolve_neg().numpy()
    try:
        return np.asarray(value)
    except Exception:
        if not isinstance(value, (list, tuple)):
            raise
        return np.asarray([_as_array(item) for item in value])  # tensors that need a gradient, inside a list


def is_tensor(value: Any) -> bool:
    """Whether this is a torch tensor, without importing torch."""
    try:
        return all(hasattr(value, name) for name in ("detach", "cpu", "dtype"))
    except Exception:
        return False


def _is_masked(value: Any) -> bool:
    return isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value)


def describe(value: Any) -> str:
    """Name the type of a value in words that a learner can use."""
    if value is None:
        return "None (is a `return` missing?)"
    if _is_masked(value):
        return "an array with masked elements"
    if isinstance(value, np.ndarray) or is_tensor(value):
        return clean(f"an array of dtype {value.dtype}")
    if isinstance(value, (list, tuple)):
        return f"a {clean(type(value).__name__)} of length {len(value)} that is no rectangular array of numbers"
    return f"a value of type {clean(type(value).__name__)}"


def encode_array(value: Any) -> dict[str, Any]:
    """Encode a numeric value; what cannot be encoded becomes ``unusable``, never an exception."""
    try:
        array = to_array(value)
        if array.nbytes > MAX_BYTES // 2:
            return {"unusable": f"an array of {array.nbytes / 2**20:.0f} MiB, more than a check may hand over"}
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(array).reshape(array.shape), allow_pickle=False)
    except Exception as error:
        return {"unusable": clean(str(error))}
    return {"npy": base64.b64encode(buffer.getvalue()).decode("ascii")}


def encode_json(value: Any) -> dict[str, Any]:
    """Encode a plain value exactly; NumPy scalars and tuples become their plain counterparts."""
    try:
        plain = _plain(value)
        if len(json.dumps(plain, allow_nan=False)) > MAX_BYTES:
            return {"unusable": "a value larger than a check may hand over"}
    except PayloadError as error:
        return {"unusable": clean(str(error))}
    except Exception:
        return {"unusable": describe(value)}
    return {"json": plain}


def _plain(value: Any, depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        raise PayloadError("a value that is nested too deep")
    if value is None or type(value) is bool:
        return value
    if type(value) is int:
        if value.bit_length() > MAX_BITS:
            raise PayloadError("an integer that is too large")
        return value
    if type(value) is float:
        if not math.isfinite(value):
            raise PayloadError("a number that is NaN or infinite")
        return value
    if type(value) in (str, np.str_):
        if any("\ud800" <= c <= "\udfff" for c in value):
            raise PayloadError("text with half of a surrogate pair, which cannot be sent")
        return str(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, dict):
        if not all(type(key) in (str, np.str_) for key in value):
            raise PayloadError("a dictionary whose keys are not all text")
        return {_plain(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (np.bool_, np.integer, np.floating, np.ndarray)) or is_tensor(value):
        return _plain(to_array(value).tolist(), depth + 1)
    raise PayloadError(describe(value))


def decode(encoded: Any) -> Any:
    """Return the value that was encoded: an array, a plain value, or a list of them.

    Reads hostile input: no pickle, no object arrays, nothing evaluated, bounded size and nesting.

    Raises:
        PayloadError: the payload is malformed, unusable or too large; the message is one clean line.
    """
    if not isinstance(encoded, dict) or len(encoded) != 1:
        raise PayloadError("a malformed value")
    (form, content), *_ = encoded.items()
    if form == "npy":
        return _decode_npy(content)
    if form == "json":
        plain = _plain(content)
        if len(json.dumps(plain)) > MAX_BYTES:
            raise PayloadError("a value that is too large")
        return plain
    if form == "list" and isinstance(content, list) and len(content) <= MAX_PARTS:
        return _decode_list(content)
    if form == "unusable" and isinstance(content, str):
        raise PayloadError(clean(content))
    raise PayloadError("a malformed value")


def _decode_list(parts: list[Any]) -> list[Any]:
    if not all(isinstance(part, dict) and part.keys() <= {"npy", "json"} for part in parts):
        unusable = next((p for p in parts if isinstance(p, dict) and list(p) == ["unusable"]), None)
        decode(unusable)  # raises, with the reason where there is one
    if sum(len(part["npy"]) for part in parts if isinstance(part.get("npy"), str)) > MAX_BYTES:
        raise PayloadError("a value that is too large")
    return [decode(part) for part in parts]


def _decode_npy(content: Any) -> np.ndarray:
    if not isinstance(content, str):
        raise PayloadError("a malformed array")
    if len(content) > MAX_BYTES:
        raise PayloadError(f"an array that is too large ({len(content) / 2**20:.0f} MiB)")
    try:
        raw = base64.b64decode(content, validate=True)
        length = int.from_bytes(raw[8:10], "little")
        if raw[:8] != b"\x93NUMPY\x01\x00" or length > _MAX_HEADER:
            raise ValueError
        header = _HEADER.fullmatch(raw[10 : 10 + length].decode("latin-1"))
        if header is None:
            raise ValueError
        shape = tuple(int(n) for n in header["shape"].split(",") if n.strip())
        dtype, data = np.dtype(header["dtype"]), raw[10 + length :]
        # The header is believed only as far as the bytes behind it reach: no allocation on a claim.
        if math.prod(shape) * dtype.itemsize != len(data):
            raise ValueError
        array = (
            np.frombuffer(data, np.uint8).view(dtype).reshape(shape, order="F" if header["fortran"] == "True" else "C")
        )
    except (ValueError, TypeError, OverflowError, binascii.Error):
        raise PayloadError("a malformed array") from None
    if dtype.kind == "b":  # a byte other than 0 and 1 is no boolean
        return array.view(np.uint8) != 0
    return array.astype(dtype.newbyteorder("="))
