"""The real data sets over HTTP, from a server on this machine that speaks the original file format."""

from __future__ import annotations

import gc
import gzip
import hashlib
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import MNIST, FashionMNIST

from dlcourse.data import downloads, fashion_mnist, mnist
from dlcourse.errors import CourseError

# torchvision leaves the sockets of failed requests to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

SETS = {MNIST: mnist, FashionMNIST: fashion_mnist}
NUMBERS = {"train": 60, "t10k": 20}


class Server(ThreadingHTTPServer):
    """Serves ``files``; ``cut`` sends so many bytes and closes, ``mute`` sends none."""

    daemon_threads = True
    files: dict[str, bytes]
    asked: list[str]
    cut: int | None = None
    mute: threading.Event | None = None


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        self.server.asked.append(self.command + " " + name)
        content = self.server.files.get(name)
        if content is None:
            self.send_error(404)
            return
        if self.server.mute:
            self.server.mute.wait(20)
        with suppress(BrokenPipeError):  # nobody waits any more
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content[: self.server.cut])

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


def idx(array: np.ndarray) -> bytes:
    """The original format: 0, 0, the type (8 for bytes), the number of axes, their lengths, the values; big-endian."""
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(head + array.astype(np.uint8).tobytes(), 1)


@pytest.fixture(params=list(SETS), ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type[MNIST]:
    return request.param


@pytest.fixture
def server(kind: type[MNIST], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with a small data set, and torchvision told to fetch from it."""
    rng = np.random.default_rng(0)
    with Server(("127.0.0.1", 0), Handler) as server:
        server.asked, server.files = [], {}
        for part, number in NUMBERS.items():
            server.files[f"{part}-images-idx3-ubyte.gz"] = idx(rng.integers(0, 256, (number, 28, 28)))
            server.files[f"{part}-labels-idx1-ubyte.gz"] = idx(np.arange(number) % 10)
        expect(kind, server, monkeypatch)
        monkeypatch.setattr(kind, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()
        gc.collect()


def expect(kind: type[MNIST], server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the checksums of what the server has now."""
    sums = [(name, hashlib.md5(content).hexdigest()) for name, content in server.files.items()]
    monkeypatch.setattr(kind, "resources", sums)


def test_download(kind: type[MNIST], server: Server, tmp_path: Path) -> None:
    """Both splits come as uint8 images and int64 labels; the second call asks nobody."""
    for split, number in (("train", 60), ("test", 20)):
        images, labels = SETS[kind](split, full=True, folder=tmp_path)
        assert (images.shape, images.dtype, labels.dtype) == ((number, 28, 28), np.uint8, np.int64)
        assert labels.tolist() == [label % 10 for label in range(number)]
        packed = server.files[f"{'t10k' if split == 'test' else split}-images-idx3-ubyte.gz"]
        assert images.tobytes() == gzip.decompress(packed)[16:]
    assert (
        len([line for line in server.asked if line.startswith("GET")]) <= 8
    )  # four files, perhaps one redirection each
    count = len(server.asked)
    SETS[kind]("train", full=True, folder=tmp_path)
    assert len(server.asked) == count


def test_bad_files_on_the_server(
    kind: type[MNIST], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing, changed, truncated, no gzip, no images: each is said, leaves nothing, and is mended by the next call."""
    whole = dict(server.files)
    images, labels = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"

    def failed(match: str) -> None:
        with pytest.raises(CourseError, match=f"(?s){kind.__name__} could not be had: .*{match}"):
            SETS[kind]("test", full=True, folder=tmp_path)
        assert [path.name for path in tmp_path.iterdir()] in ([], [f".{kind.__name__}.lock"])
        server.files, server.cut = dict(whole), None
        expect(kind, server, monkeypatch)

    del server.files[labels]
    failed("404")
    server.files[labels] = idx(np.arange(20) % 7)
    failed("corrupted")
    server.cut = 200
    failed("corrupted|IncompleteRead|more expected")
    for broken in (b"<html>no such page</html>", whole[labels][:-9], gzip.compress(b"\0\0\x08\x01\0\0\0\x14abc")):
        server.files[labels] = broken
        expect(kind, server, monkeypatch)  # the right checksum of a wrong file
        failed("")
    server.files[images] = idx(np.zeros((19, 28, 28)))
    expect(kind, server, monkeypatch)
    failed("do not belong together")
    assert len(SETS[kind]("test", full=True, folder=tmp_path)[0]) == 20


def test_nobody_answers(kind: type[MNIST], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says nothing is given up, one that is not there at once."""
    monkeypatch.setattr(downloads, "SILENCE", 0.3)
    server.mute = threading.Event()
    with pytest.raises(CourseError, match="timed out"):
        SETS[kind]("test", full=True, folder=tmp_path)
    server.mute.set()
    monkeypatch.setattr(kind, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(CourseError, match=r"could not be had.*take full=False"):
        SETS[kind]("test", full=True, folder=tmp_path)


def test_interrupted_download(kind: type[MNIST], server: Server, tmp_path: Path) -> None:
    """What a killed process left, here or through torchvision itself, is thrown away and fetched again."""
    for place in (f".{kind.__name__}.unfinished/{kind.__name__}", kind.__name__):
        raw = tmp_path / place / "raw"
        raw.mkdir(parents=True)
        for name, content in server.files.items():
            (raw / name).write_bytes(content[:100])
            (raw / name.removesuffix(".gz")).write_bytes(gzip.decompress(content)[:100])
    assert len(SETS[kind]("train", full=True, folder=tmp_path)[0]) == 60
    assert {path.name for path in tmp_path.iterdir()} <= {kind.__name__, f".{kind.__name__}.lock"}


def test_broken_files_without_a_network(kind: type[MNIST], server: Server, tmp_path: Path) -> None:
    """Broken files stay as they are as long as no whole ones can be had."""
    SETS[kind]("train", full=True, folder=tmp_path)
    labels = tmp_path / kind.__name__ / "raw" / "train-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-5])
    server.files.clear()
    with pytest.raises(CourseError, match="404"):
        SETS[kind]("train", full=True, folder=tmp_path)
    assert labels.is_file()
    assert len(SETS[kind]("test", full=True, folder=tmp_path)[0]) == 20
