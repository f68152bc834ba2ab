"""The wire format: what is encoded comes back, and nothing that a submission can send does harm."""

from __future__ import annotations

import base64
import io
import json
import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dlcourse import payload
from dlcourse.payload import MAX_BYTES, MAX_PARTS, PayloadError, clean, decode, encode_array, encode_json, to_array

DTYPES = ["?", "i1", "u1", "<i4", ">i4", "<i8", "<u8", "<f2", "<f4", ">f8", "<f8"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
).filter(lambda value: depth(value) <= payload.MAX_DEPTH)


def depth(value: Any) -> int:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if items is None else 1 + max(map(depth, items), default=0)


def npy(header: str | bytes, data: bytes = b"", version: bytes = b"\x01\x00") -> dict[str, str]:
    """A payload with this header, as long as it claims to be."""
    header = header.encode("latin-1") if isinstance(header, str) else header
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(header))
    return {"npy": base64.b64encode(b"\x93NUMPY" + version + length + header + data).decode()}


def described(descr: str, shape: str, data: bytes, fortran: str = "False") -> dict[str, str]:
    return npy(f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n", data)


def saved(array: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


@given(st.sampled_from(DTYPES).flatmap(lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, min_side=0, max_side=4))))
@settings(max_examples=80, deadline=None)
def test_arrays_come_back(array: np.ndarray) -> None:
    """Values, shape and dtype of an array survive, whatever its byte order; the byte order becomes the machine's."""
    back = decode(json.loads(json.dumps(encode_array(array))))
    assert back.shape == array.shape
    assert back.dtype == array.dtype.newbyteorder("=")
    assert np.array_equal(back, array, equal_nan=array.dtype.kind == "f")


@given(PLAIN)
@settings(max_examples=80, deadline=None)
def test_plain_values_come_back(value: Any) -> None:
    """Plain values survive with their types: True stays True and 1 stays 1."""
    back = decode(json.loads(json.dumps(encode_json(value))))
    assert repr(back) == repr(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(torch.ones(2, requires_grad=True) * 2, [2.0, 2.0], id="tensor with gradient"),
        pytest.param(
            [torch.ones(2, requires_grad=True), torch.zeros(2)], [[1.0, 1.0], [0.0, 0.0]], id="list of tensors"
        ),
        pytest.param([[torch.tensor(1.5, requires_grad=True)], [2]], [[1.5], [2.0]], id="nested list with a tensor"),
        pytest.param(torch.tensor([1.5], dtype=torch.bfloat16), [1.5], id="bfloat16"),
        pytest.param(torch.tensor([1 + 2j]).conj().imag, [-2.0], id="lazily negated tensor"),
        pytest.param(torch.arange(6).reshape(2, 3).T, [[0, 3], [1, 4], [2, 5]], id="transposed tensor"),
        pytest.param(np.arange(6).reshape(2, 3)[:, ::2], [[0, 2], [3, 5]], id="strided"),
        pytest.param(np.broadcast_to(3.0, (2, 2)), [[3.0, 3.0], [3.0, 3.0]], id="read-only broadcast"),
        pytest.param(np.longdouble(0.5), 0.5, id="longdouble"),
        pytest.param(np.float32(0.5), 0.5, id="NumPy scalar"),
        pytest.param(np.array(7), 7, id="0-d"),
        pytest.param(3, 3, id="int"),
        pytest.param((1, 2.5), [1.0, 2.5], id="tuple"),
        pytest.param(range(3), [0, 1, 2], id="range"),
        pytest.param(np.ma.array([1, 2], mask=[False, False]), [1, 2], id="masked array that masks nothing"),
        pytest.param([], [], id="empty list"),
    ],
)
def test_right_answers_in_every_form(value: Any, expected: Any) -> None:
    """A right answer counts as a tensor, a list, a view, a scalar: the form is not the question."""
    back = decode(encode_array(value))
    assert back.dtype.itemsize <= 8
    assert back.shape == np.shape(expected)
    assert back.tolist() == expected


def test_matrix_becomes_an_array() -> None:
    """A matrix hands over its elements, without the operators of a matrix."""
    assert type(decode(encode_array(np.zeros((1, 2)).view(np.matrix)))) is np.ndarray


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "`return` missing"),
        ("text", "type str"),
        (1j, "type complex"),
        (np.array([1j]), "dtype complex128"),
        (torch.tensor([1j]), "dtype torch.complex64"),
        ([[1, 2], [3]], "a list of length 2 that is no rectangular array"),
        ((n for n in (1, 2)), "type generator"),
        ({1: 2}, "type dict"),
        (np.array([None]), "dtype object"),
        (np.array(["2020-01-01"], "M8[D]"), "dtype datetime64"),
        (np.zeros(2, [("a", "f8")]), "an array of dtype"),
        (np.ma.array([1, 2], mask=[True, False]), "masked"),
        ([1, 10**400], "no rectangular array of numbers"),
        (type("\x1b[31mEvil\n", (), {})(), "type Evil"),
    ],
)
def test_what_is_no_array_is_named(value: Any, words: str) -> None:
    """What cannot be graded as an array becomes a reason in words, never an exception in the kernel."""
    encoded = encode_array(value)
    assert list(encoded) == ["unusable"]
    assert words in encoded["unusable"]
    assert encoded["unusable"].isprintable()
    with pytest.raises(PayloadError, match="not an array of numbers but"):
        decode(encoded)


class Spiteful:
    """An object of which nothing may be asked."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            return type(self)
        raise RuntimeError(name)


@pytest.mark.parametrize("encode", [encode_array, encode_json])
def test_spiteful_objects_raise_nothing(encode: Any) -> None:
    """An object whose attributes raise is unusable like any other."""
    assert "unusable" in encode(Spiteful())
    assert "unusable" in encode([Spiteful()])


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        [np.float32("nan")],
        2**2000,
        "\ud800",
        ["\udfff"],
        {1: 2},
        {"\ud800": 1},
        {1, 2},
        b"x",
        object(),
    ],
)
def test_what_is_not_plain_is_unusable(value: Any) -> None:
    """NaN, huge integers, half surrogate pairs and objects cannot be sent as plain values, and do not raise."""
    assert list(encode_json(value)) == ["unusable"]


def test_plain_counterparts() -> None:
    """NumPy scalars, tuples and arrays inside plain values become what they stand for."""
    value = {"n": np.int64(3), "t": (np.str_("a"), np.bool_(True)), "a": np.arange(2), "x": torch.tensor(2.5)}
    assert decode(encode_json(value)) == {"n": 3, "t": ["a", True], "a": [0, 1], "x": 2.5}


def test_too_large_to_hand_over() -> None:
    """A value over the limit is refused where it is encoded and again where it is decoded."""
    assert "MiB" in encode_array(np.zeros(MAX_BYTES // 2 + 1, np.uint8))["unusable"]
    assert "larger" in encode_json("a" * (MAX_BYTES + 1))["unusable"]
    just = np.zeros(MAX_BYTES // 2, np.uint8)
    assert decode(encode_array(just)).shape == just.shape
    with pytest.raises(PayloadError, match="too large"):
        decode({"npy": "A" * (MAX_BYTES + 4)})
    with pytest.raises(PayloadError, match="too large"):
        decode({"json": ["a" * 1000] * (MAX_BYTES // 1000)})


ONE = np.float64(1).tobytes()
GOOD = "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }\n"
HOSTILE = {
    "object": described("'|O'", "(1,)", b"\x80\x04N."),
    "pickle": {"npy": base64.b64encode(saved(np.array([{}]), allow_pickle=True)).decode()},
    "structured": described("[('a', '<f8')]", "(1,)", ONE),
    "complex": described("'<c16'", "(1,)", ONE + ONE),
    "long double": described("'<f16'", "(1,)", ONE + ONE),
    "text": described("'<U2'", "(1,)", ONE),
    "void": described("'|V8'", "(1,)", ONE),
    "date": described("'<M8[s]'", "(1,)", ONE),
    "boolean of 8 bytes": described("'<b8'", "(1,)", ONE),
    "float of 1 byte": described("'<f1'", "(8,)", ONE),
    "huge claim": described("'<f8'", "(1000000000000,)", ONE),
    "product that wraps to 1": described("'<f8'", "(4294967296, 4294967296, 1)", ONE),
    "huge empty": described("'<f8'", "(0, 9999999999999999999)", b""),
    "huge number": described("'<f8'", f"({'9' * 1000},)", ONE),
    "negative": described("'<f8'", "(-1,)", ONE),
    "negative twice": described("'<f8'", "(-1, -1)", ONE),
    "boolean axis": described("'<f8'", "(True,)", ONE),
    "65 axes": described("'<f8'", f"({'1, ' * 65})", ONE),
    "no tuple": described("'<f8'", "1", ONE),
    "code": described("'<f8'", "(__import__('os').getpid(),)", ONE),
    "fortran code": described("'<f8'", "(1,)", ONE, fortran="print(1)"),
    "trailing bytes": described("'<f8'", "(1,)", ONE + b"\0"),
    "missing bytes": described("'<f8'", "(2,)", ONE),
    "one header key more": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'x': 1, }\n", ONE),
    "deep header": npy("(" * 2000 + ")" * 2000, ONE),
    "signs": npy("-" * 9000 + "1", ONE),
    "header of 60 kB": npy(" " * 60_000, ONE),
    "python 2 header": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1L,), }\n", ONE),
    "not latin": npy(b"\xff\xfe", ONE),
    "version 2": {"npy": base64.b64encode(saved(np.ones(1), version=(2, 0))).decode()},
    "version 3": {"npy": base64.b64encode(saved(np.ones(1), version=(3, 0))).decode()},
    "version 9": npy("{}", ONE, version=b"\x09\x00"),
    "another magic": {"npy": base64.b64encode(b"\x93NUMPZ" + saved(np.ones(1))[6:]).decode()},
    "blanks": npy(GOOD[:-1] + " " * 3000 + "\n", ONE),
    "only magic": {"npy": base64.b64encode(b"\x93NUMPY\x01\x00").decode()},
    "empty": {"npy": ""},
    "not base64": {"npy": "*&^"},
    "base64 with a gap": {"npy": encode_array(1.0)["npy"][:8] + "\n" + encode_array(1.0)["npy"][8:]},
    "base64 without padding": {"npy": encode_array(1.0)["npy"].rstrip("=")},
    "digits of another script": {"npy": "٣٣٣٣"},
    "half a surrogate pair": {"npy": "\ud800"},
    "bytes": {"npy": b"abcd"},
    "number": {"npy": 3},
    "nothing": {},
    "None": None,
    "list": [1],
    "two forms": {"npy": encode_array(1.0)["npy"], "json": 1},
    "unknown form": {"pickle": "gASVAAAA"},
    "NaN": {"json": float("nan")},
    "infinity": {"json": [1e999]},
    "huge integer": {"json": 10**5000},
    "surrogate": {"json": "\ud800"},
    "number as a key": {"json": {1: 2}},
    "list in a list": {"list": [{"list": []}]},
    "list of numbers": {"list": [1, 2]},
    "list of a lot": {"list": [{"json": 1}] * (MAX_PARTS + 1)},
    "list that is a text": {"list": "ab"},
    "two forms in a list": {"list": [{"json": 1, "npy": ""}]},
    "unusable number": {"unusable": 3},
}


@pytest.mark.parametrize("encoded", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_payloads_are_refused(encoded: Any) -> None:
    """Every malformed payload is refused with a clean line, without warnings, and without memory on a claim."""
    tracemalloc.start()
    try:
        with pytest.raises(PayloadError) as refused:
            decode(encoded)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()
    assert str(refused.value).isprintable()


def test_deep_nesting_is_refused() -> None:
    """100,000 nested lists end in a refusal, not in a recursion."""
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(PayloadError, match="deep"):
        decode({"json": deep})
    while isinstance(deep, list):  # the interpreter would recurse to free it
        deep = deep.pop()


def test_the_header_of_the_tests_is_read() -> None:
    """The header that the refused payloads are made from is a good one, so that they are refused for their fault."""
    assert decode(npy(GOOD, ONE)).tolist() == [1.0]


def test_orders_of_bytes_and_axes_are_read() -> None:
    """Big-endian and Fortran-ordered payloads, which NumPy writes too, hold the same array."""
    array = np.arange(6, dtype=">f8").reshape(2, 3)
    for order in (array, np.asfortranarray(array)):
        back = decode({"npy": base64.b64encode(saved(order)).decode()})
        assert back.dtype == np.float64
        assert back.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_booleans_are_zero_or_one() -> None:
    """A boolean whose byte is neither 0 nor 1 counts once in a sum."""
    back = decode(described("'|b1'", "(3,)", b"\x00\x01\xff"))
    assert back.tolist() == [False, True, True]
    assert back.view(np.uint8).tolist() == [0, 1, 1]


def test_lists_are_bounded_together() -> None:
    """The parts of a list share the limit of one value, and keep their order."""
    big = encode_array(np.zeros(2**20))
    with pytest.raises(PayloadError, match="too large"):
        decode({"list": [big, big]})
    first, second = decode({"list": [encode_array(1.0), encode_json("two")]})
    assert (float(first), second) == (1.0, "two")
    with pytest.raises(PayloadError, match="of type set"):
        decode({"list": [encode_array(1.0), encode_array({1})]})


@given(
    st.text() | st.sampled_from(["\x1b[31mred\x1b[0m", "\x1b]0;title\x07x", "a\u202eb", "\x9b2Jx", "\x1bcx", "\ud800"])
)
@settings(max_examples=100, deadline=None)
def test_clean_text(text: str) -> None:
    """Cleaned text is one short printable line, and printable text without runs of blanks stays as it is."""
    line = clean(text)
    assert line.isprintable()
    assert len(line) <= 200
    assert clean(line) == line


def test_clean_removes_whole_escapes() -> None:
    """Of a terminal escape nothing stays, of a long text its beginning."""
    assert (
        clean("\x1b[1;31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x1b\\ \x1b(B\x1bMend\nnext") == "red link end next"
    )
    assert clean("a" * 10**6, 10) == "a" * 9 + "…"


@given(JSON)
@settings(max_examples=150, deadline=None)
def test_decode_raises_only_payload_errors(value: Any) -> None:
    """Whatever JSON arrives, in whatever place, decode returns a value or raises PayloadError."""
    for encoded in (value, {"json": value}, {"npy": value}, {"list": [value]}, {"list": value}, {"unusable": value}):
        try:
            decode(encoded)
        except PayloadError as error:
            assert str(error).isprintable()


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_mutated_arrays(data: st.DataObject) -> None:
    """A valid payload with changed bytes is read as a numeric array of at most its bytes, or refused."""
    raw = bytearray(base64.b64decode(encode_array(np.arange(6.0).reshape(2, 3))["npy"]))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        array = decode({"npy": base64.b64encode(raw).decode()})
    except PayloadError:
        return
    assert array.dtype.kind in "biuf"
    assert array.nbytes <= 48


def test_to_array_keeps_the_dtype() -> None:
    """The dtype is part of the diagnosis, so it is not widened, only put in the machine's byte order."""
    for dtype in ("?", "i2", "u8", "f2", "f4"):
        assert to_array(np.zeros(2, dtype)).dtype == dtype
    assert to_array(np.zeros(2, ">f4")).dtype.isnative
