"""Letters and digits: the layout of the original, the same for everybody, and what is said of a wrong file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from dlcourse.data import LETTERS, nist, nist36, write_nist36
from dlcourse.data.letters import letters
from dlcourse.errors import CourseError


def test_letters(tmp_path: Path) -> None:
    """Sizes, layout and order of the original; the recorded checksums hold here, too."""
    for split, each in (("train", 300), ("valid", 100), ("test", 50)):
        images, labels = nist36(split, folder=tmp_path)  # a checksum that differs would warn
        assert (images.shape, images.dtype) == ((36 * each, 1024), np.float64)
        assert (labels.shape, labels.dtype) == ((36 * each, 36), np.float64)
        assert (images.min(), images.max()) == (0, 1)
        assert 0.1 < images.mean() < 0.3  # white on black
        assert labels.sum(0).tolist() == [each] * 36
        assert set(np.unique(labels)) == {0, 1}
        assert (np.diff(labels.argmax(1)) >= 0).all() == (split == "valid")
        assert np.array_equal(nist36(split, folder=tmp_path)[0], images)


def test_rows_are_transposed(tmp_path: Path) -> None:
    """An upright T has its bar at the top, an L its foot at the bottom, once a row is transposed back."""
    images, labels = nist36("test", folder=tmp_path)
    upright = images.reshape(-1, 32, 32).transpose(0, 2, 1)
    t, ell = (upright[labels[:, LETTERS.index(letter)] == 1].mean(0) for letter in "TL")
    assert t[:12].sum() > 1.5 * t[20:].sum()
    assert ell[20:].sum() > 1.5 * ell[:12].sum()


def test_one_letter_many_hands() -> None:
    """No two pictures of a character are alike, and another seed draws others."""
    some = letters(np.full(40, 7), 1)
    assert len(np.unique(some.reshape(40, -1), axis=0)) == 40
    assert not (some[:, None] == letters(np.full(40, 7), 2)[None]).all(axis=(2, 3)).any()


def test_original_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files in the original's layout are read as they are; what is drawn can be written so."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delitem(nist._SEED, "train")  # the largest
    write_nist36(tmp_path / "data")
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
        f"nist36_{split}.mat" for split in ("test", "valid")
    ]
    for found, drawn in zip(nist36("valid", full=tmp_path / "data"), nist36("valid"), strict=True):
        assert np.array_equal(found, drawn)


def test_wrong_original_files(tmp_path: Path) -> None:
    """What is missing, damaged or another data set is named, with what to do."""
    path = tmp_path / "nist36_test.mat"

    def wrong(match: str, **arrays: object) -> None:
        if arrays:
            savemat(path, arrays)
        with pytest.raises(CourseError, match=match):
            nist36("test", full=tmp_path)

    data, labels = np.zeros((5, 1024)), np.eye(36)[:5]
    wrong(r"no file .*nist36_test\.mat.*give the folder")
    path.write_bytes(b"PK\x03\x04 no matrix" * 40)
    wrong("cannot be read as a MATLAB file")
    wrong("holds no test_labels", test_data=data)
    wrong(r"labels have shape \(5, 26\)", test_data=data, test_labels=np.eye(26)[:5])
    wrong(r"images have shape \(5, 784\)", test_data=data[:, :784], test_labels=labels)
    wrong("from 0.0 to 255.0", test_data=data + 255 * np.eye(1024)[:5], test_labels=labels)
    wrong("not from 0 to 1", test_data=data * np.nan, test_labels=labels)
    for bad in (labels * 2, labels * 0, np.ones((5, 36))):
        wrong("not one-hot", test_data=data, test_labels=bad)
    wrong("not numbers", test_data=np.full((5, 1024), 1j), test_labels=labels)
    savemat(path, {"test_data": data, "test_labels": labels})
    path.write_bytes(path.read_bytes()[:3000])
    wrong("cannot be read as a MATLAB file")


def test_no_such_part() -> None:
    """A misspelt split is named."""
    with pytest.raises(CourseError, match='no split "validation"'):
        nist36("validation")  # type: ignore[arg-type]
