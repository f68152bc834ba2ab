"""Right answers in single precision: a wrapper that an audit puts around a learner's function."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from dlcourse.payload import is_tensor


def in_float32(function: Callable[..., Any]) -> Callable[..., Any]:
    """Call ``function`` with every float64 array or tensor of its arguments, nested ones too, cast to float32."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*_cast(args), **_cast(kwargs))

    return call


def _cast(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype == np.float64:
        return value.astype(np.float32)
    if is_tensor(value) and str(value.dtype) == "torch.float64":
        return value.float()
    if isinstance(value, tuple):
        return tuple(_cast(item) for item in value)
    if isinstance(value, list):
        return [_cast(item) for item in value]
    if isinstance(value, dict):
        return {key: _cast(item) for key, item in value.items()}
    return value
