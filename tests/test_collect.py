"""``course collect``: the downloads of Canvas and Gradescope become submissions, and what is wrong is named."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import shutil
import stat
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lms_files import Canvas, Gradescope, zip_bytes

from dlcourse.cli import main
from dlcourse.course import Course
from dlcourse.grading.grade import grade
from dlcourse.handin import archive, canvas, unpack

PDF = b"%PDF-1.4 a report"


@pytest.fixture
def notebook(course: Course) -> Callable[[str], bytes]:
    """The bytes of a notebook handed in; each text gives another one."""
    release = nbformat.read(course.path("release", "tiny") / "sums.ipynb", as_version=4)

    def make(answer: str) -> bytes:
        mine = copy.deepcopy(release)
        next(cell for cell in mine.cells if cell.id == "q3_words").source = answer
        return nbformat.writes(mine).encode()

    return make


def collect(course: Course, download: Path, source: str, *options: str) -> Result:
    ended = CliRunner().invoke(main, ["-C", str(course.root), "collect", str(download), "--from", source, *options])
    assert "Traceback" not in ended.output
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended


def submitted(course: Course) -> dict[str, bytes]:
    """Every file below submitted/, without the record of where it came from."""
    base = course.root / "submitted"
    files = {path.relative_to(base).as_posix(): path for path in base.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if path.name != ".collected.json"}


def state_of(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file of a folder: digest and time of writing."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) for path in files}


def roster(course: Course, *lines: str) -> str:
    path = course.root / "roster.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return str(path)


def test_canvas(course: Course, notebook: Callable[[str], bytes]) -> None:
    """Names, late marks, ZIPs, re-uploads, accents, text entries: all that Canvas writes into a file name."""
    download = Canvas()
    download.upload("Lovelace, Ada", 11, 501, "sums.ipynb", notebook("first"))
    download.upload("Lovelace, Ada", 11, 502, "sums-1.ipynb", notebook("second"))
    download.upload("Lovelace, Ada", 11, 503, "sums.pdf", PDF)
    download.upload("Müller-Žižek, Ünal", 12, 504, "my work (final).ipynb", notebook("sole"), late=True)
    packed = zip_bytes(
        {"hw/sums.ipynb": notebook("zipped"), "hw/data/x.csv": b"1", "hw/helper.py": b"", "notes.txt": b"n"}
    )
    download.upload("李, 明", 13, 505, "hw_12_34_x.zip", packed)
    download.text("Noether, Emmy", 14)
    download.link("Gauss, Carl", 15)
    ended = collect(course, download.save(course.root / "submissions.zip"), "canvas")
    assert ended.exit_code == 0, ended.output
    assert submitted(course) == {
        "lovelaceada_11/tiny/sums.ipynb": notebook("second"),
        "lovelaceada_11/tiny/sums.pdf": PDF,
        "mullerzizekunal_12/tiny/sums.ipynb": notebook("sole"),
        "student_13/tiny/sums.ipynb": notebook("zipped"),
        "student_13/tiny/data/x.csv": b"1",
        "student_13/tiny/helper.py": b"",
    }
    for words in (
        "lovelaceada_11: sums.ipynb: an older upload of sums.ipynb",
        "李明_13: notes.txt: not in the notebook's folder",
        "noetheremmy_14_text.html: a text entry without a file",
        "gausscarl_15_link.html: an address instead of a file",
    ):
        assert words in ended.stderr
    assert "mullerzizekunal_12: late; by how much the download does not say, and no deadline is set" in ended.stderr


def test_second_run_changes_nothing(course: Course, notebook: Callable[[str], bytes]) -> None:
    """The same download again leaves every byte, date and gradebook entry; a dry run leaves no trace at all."""
    download = Canvas()
    download.upload("Lovelace, Ada", 11, 501, "sums.ipynb", notebook("first"))
    path = download.save(course.root / "submissions.zip")
    empty = state_of(course.root)
    ended = collect(course, path, "canvas", "--dry-run")
    assert "1 new" in ended.stdout
    assert state_of(course.root) == empty
    collect(course, path, "canvas")
    before = state_of(course.root)
    assert len(before) > len(empty)
    assert "1 unchanged" in collect(course, path, "canvas").stdout
    assert state_of(course.root) == before


def test_newest_is_kept(course: Course, notebook: Callable[[str], bytes]) -> None:
    """A later download updates; an earlier one does not go back, and neither touches what a person changed."""
    paths = []
    for attachment, text in ((501, "early"), (502, "late")):
        download = Canvas()
        download.upload("Lovelace, Ada", 11, attachment, "sums.ipynb", notebook(text))
        paths.append(download.save(course.root / f"{text}.zip"))
    early, late = paths
    file = "lovelaceada_11/tiny/sums.ipynb"
    collect(course, early, "canvas")
    assert "1 updated" in collect(course, late, "canvas").stdout
    assert submitted(course)[file] == notebook("late")
    assert "1 left as they were" in collect(course, early, "canvas").stdout
    assert submitted(course)[file] == notebook("late")
    (course.root / "submitted" / file).write_bytes(notebook("mended by the instructor"))
    assert "put or changed by hand and is kept" in collect(course, late, "canvas").stderr
    assert submitted(course)[file] == notebook("mended by the instructor")
    assert "1 updated" in collect(course, early, "canvas", "--force").stdout
    assert submitted(course)[file] == notebook("early")


def test_canvas_anonymous_and_groups(course: Course, notebook: Callable[[str], bytes]) -> None:
    """An anonymous id names its folder, or a roster does; a group's upload goes to each member in the roster."""
    download = Canvas()
    download.anonymous("aB3xZ", 501, "sums.ipynb", notebook("hidden"), late=True)
    download.anonymous("12345", 502, "sums.ipynb", notebook("digits"))
    path = download.save(course.root / "anonymous.zip")
    collect(course, path, "canvas")
    assert set(submitted(course)) == {"anon_aB3xZ/tiny/sums.ipynb", "anon_12345/tiny/sums.ipynb"}
    group = Canvas()
    group.upload("Team Möbius 4", 31, 601, "sums.ipynb", notebook("together"))
    listed = roster(
        course,
        "student_id,name,group,anonymous_id",
        'ada,"Lovelace, Ada",Team Möbius 4,aB3xZ',
        'emmy,"Noether, Emmy",Team Möbius 4,',
    )
    collect(course, group.save(course.root / "group.zip"), "canvas", "--roster", listed)
    assert submitted(course)["ada/tiny/sums.ipynb"] == submitted(course)["emmy/tiny/sums.ipynb"] == notebook("together")
    ended = collect(course, path, "canvas", "--roster", listed, "--dry-run")
    assert "anon_12345: not in the roster" in ended.stderr
    assert "ada" in ended.stdout


def test_canvas_roster_is_canvas_own_gradebook(course: Course, notebook: Callable[[str], bytes]) -> None:
    """The CSV that Canvas exports maps its ids to logins, and the gradebook learns names and Canvas ids."""
    download = Canvas()
    download.upload("Lovelace, Ada", 11, 501, "sums.ipynb", notebook("mine"))
    download.upload("Stranger, A", 99, 502, "sums.ipynb", notebook("whose?"))
    listed = roster(
        course,
        "Student,ID,SIS User ID,SIS Login ID,Section,Problem set (77)",
        "    Points Possible,,,,,6.00",
        '"Lovelace, Ada",11,900011,alove3,A,',
        '"Student, Test",,,,A,',
    )
    ended = collect(course, download.save(course.root / "submissions.zip"), "canvas", "--roster", listed)
    assert set(submitted(course)) == {"alove3/tiny/sums.ipynb"}
    assert "strangera_99: not in the roster" in ended.stderr
    with course.gradebook() as gradebook:
        student = gradebook.find_student("alove3")
        assert (student.first_name, student.last_name, student.lms_user_id) == ("Ada", "Lovelace", "11")


def test_late_policy_sees_canvas_mark(course: Course, notebook: Callable[[str], bytes]) -> None:
    """With a deadline, a late mark becomes the least lateness; a time in the roster is exact; nbgrader reads both."""
    config = course.root / "nbgrader_config.py"
    more = 'c.HandIn.timezone = "America/New_York"\nc.HandIn.deadlines = {"tiny": "2025-04-18 20:00"}\n'
    config.write_text(config.read_text("utf-8") + more, "utf-8")
    course = Course(course.root)
    download = Canvas()
    download.upload("Lovelace, Ada", 11, 501, "sums.ipynb", notebook("late"), late=True)
    download.upload("Noether, Emmy", 12, 502, "sums.ipynb", notebook("known"), late=True)
    listed = roster(course, "student_id,canvas_id,submitted", "ada,11,", "emmy,12,2025-04-18 22:30")
    collect(course, download.save(course.root / "submissions.zip"), "canvas", "--roster", listed)
    base = course.root / "submitted"
    assert (base / "ada" / "tiny" / "timestamp.txt").read_text() == "2025-04-19 00:00:01.000000 UTC\n"
    with course.gradebook() as gradebook:
        for student, seconds in (("ada", 1), ("emmy", 2.5 * 3600)):
            stamp = course.directory().get_existing_timestamp(str(base / student / "tiny"))
            gradebook.add_submission("tiny", student, timestamp=stamp)
            assert gradebook.find_submission("tiny", student).total_seconds_late == seconds


def test_gradescope(course: Course, notebook: Callable[[str], bytes]) -> None:
    """Teams, times, several submissions of one person, files beside the notebook: as the export has them."""
    download = Gradescope()
    ada, emmy = ("Ada Lovelace", "900011", "ada@example.org"), ("Emmy Noether", "", "emmy@example.org")
    download.submit(1, [ada], "2025-04-18 19:59:59.123456789 -04:00", {"sums.ipynb": notebook("old")})
    files = {"sums.ipynb": notebook("team"), "report.pdf": PDF, "data/x.csv": b"1", "timestamp.txt": b"2000-01-01"}
    download.submit(2, [ada, emmy], "2025-04-19 01:00:00.000000000 Z", files)
    download.submit(3, [("Carl Gauss", "900013", "carl@example.org")], "2025-04-18 10:00:00 Z", {"readme.txt": b""})
    download.files["submission_9/sums.ipynb"] = notebook("nobody's")
    ended = collect(course, download.save(course.root / "export.zip"), "gradescope")
    assert ended.exit_code == 0, ended.output
    expected = {"sums.ipynb": notebook("team"), "report.pdf": PDF, "data/x.csv": b"1"}
    stamp = b"2025-04-19 01:00:00.000000 UTC\n"
    assert submitted(course) == {
        f"{student}/tiny/{name}": content
        for student in ("900011", "emmy@example.org")
        for name, content in {**expected, "timestamp.txt": stamp}.items()
    }
    for words in (
        "submission_1: an older submission of 900011",
        "timestamp.txt: a name that the course writes itself",
        "submission_3: nothing collected for 900013: no notebook was handed in",
        "assignment_4252_export/submission_9/sums.ipynb: not named in submission_metadata.yml",
    ):
        assert words in ended.stderr
    with course.gradebook() as gradebook:
        assert gradebook.find_student("900011").email == "ada@example.org"


def test_gradescope_metadata_of_ruby(course: Course, notebook: Callable[[str], bytes]) -> None:
    """Times that Ruby wrote as its own objects are read, and run no code; broken metadata is a plain error."""
    text = """\
'71.pdf':
  :submitters:
  - :name: Ada Lovelace
    :sid: ''
    :email: ada@example.org
submission_72:
  :submitters:
  - :name: Emmy Noether
    :email: emmy@example.org
  :created_at: !ruby/object:ActiveSupport::TimeWithZone
    utc: 2025-04-18 23:00:00.5 Z
    zone: !ruby/object:ActiveSupport::TimeZone
      name: Eastern Time (US & Canada)
    time: 2025-04-18 19:00:00.5 Z
"""
    files = {"submission_metadata.yml": text.encode(), "71.pdf": PDF, "submission_72/sums.ipynb": notebook("mine")}
    path = course.root / "export.zip"
    path.write_bytes(zip_bytes(files))
    collect(course, path, "gradescope")
    assert set(submitted(course)) == {"emmy@example.org/tiny/sums.ipynb", "emmy@example.org/tiny/timestamp.txt"}
    assert submitted(course)["emmy@example.org/tiny/timestamp.txt"] == b"2025-04-18 23:00:00.500000 UTC\n"
    for bad in (b"a: [", b"!!python/object/apply:os.system ['true']", b"just a line", b"\xff\xfe\x00"):
        path.write_bytes(zip_bytes({"submission_metadata.yml": bad}))
        assert collect(course, path, "gradescope").exit_code == 1


def test_folder(course: Course, notebook: Callable[[str], bytes]) -> None:
    """Hand-in ZIPs in a folder: people from the names, times from the files, a second copy is the newer."""
    folder = course.root / "inbox"
    folder.mkdir()
    for name, text, hour in (("Lovelace_Ada", "old", 10), ("Noether_Emmy", "one", 11), ("Lovelace_Ada", "new", 12)):
        stem = f"{name}_dlcourse_assignment_tiny"
        target = folder / f"{stem}{' (1)' if hour == 12 else ''}.zip"
        target.write_bytes(zip_bytes({f"{stem}.ipynb": notebook(text), f"{stem}.pdf": PDF}))
        os.utime(target, (1744970400 + hour, 1744970400 + hour))
    (folder / "李_明_dlcourse_assignment_tiny.ipynb").write_bytes(notebook("needs a roster"))
    (folder / "homework.zip").write_bytes(b"")
    ended = collect(course, folder, "folder")
    files = submitted(course)
    assert files["Lovelace_Ada/tiny/sums.ipynb"] == notebook("new")
    assert files["Lovelace_Ada/tiny/timestamp.txt"] == b"2025-04-18 10:00:12.000000 UTC\n"
    assert files["Noether_Emmy/tiny/Noether_Emmy_dlcourse_assignment_tiny.pdf"] == PDF
    assert len(files) == 6
    assert "李_明: its name cannot be a student's id" in ended.stderr
    assert "homework.zip: not called like LastName_FirstName_dlcourse_assignment_tiny.zip" in ended.stderr
    collect(course, folder, "folder", "--roster", roster(course, "student_id;first;last", "li3;明;李"))
    assert submitted(course)["li3/tiny/sums.ipynb"] == notebook("needs a roster")


def test_from_pack_to_points(hand_in: Callable[..., Path], finish: Callable[[Path], Path], course: Course) -> None:
    """What a learner packs and uploads gets the points that it earns; broken rules are reported on the way."""
    path = finish(hand_in("ada", q2_centre="def centre(x):\n    return x"))
    desk = path.rename(course.root / "sums.ipynb").parent
    shutil.rmtree(course.root / "submitted")
    packed = CliRunner().invoke(main, ["-C", str(desk), "pack", "tiny", "--first", "Ada", "--last", "Lovelace"])
    assert packed.exit_code == 0, packed.output
    download = Canvas()
    for number, file in enumerate(sorted((desk / "hand-in").iterdir())):
        download.upload("Lovelace, Ada", 11, 500 + number, file.name, file.read_bytes())
    blank = nbformat.read(course.path("release", "tiny") / "sums.ipynb", as_version=4)
    download.upload("Noether, Emmy", 12, 600, "sums.ipynb", nbformat.writes(blank).encode())
    ended = collect(course, download.save(course.root / "submissions.zip"), "canvas")
    assert "noetheremmy_12: breaks hand-in rules: executed, placeholders (3), collaborators" in ended.stderr
    assert "lovelaceada_11:" not in ended.stderr
    kept = {Path(name).name for name in submitted(course) if name.startswith("lovelaceada_11/")}
    assert kept == {"sums.ipynb", "Lovelace_Ada_dlcourse_assignment_tiny.pdf"}
    result = grade(course, "tiny", sandboxed="none")
    assert {one.student: one.score for one in result.submissions} == {"lovelaceada_11": 3, "noetheremmy_12": 0}


def hostile(notebook: bytes) -> dict[str, tuple[bytes, str]]:
    """ZIPs that no learner should hand in, each with what is said of it."""

    def edited(change: Callable[[zipfile.ZipInfo], None], name: str = "x.txt") -> bytes:
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as opened:
            opened.writestr("sums.ipynb", notebook)
            info = zipfile.ZipInfo(name, (2025, 1, 1, 0, 0, 0))
            change(info)
            opened.writestr(info, b"../../etc/passwd")
        return made.getvalue()

    def link(info: zipfile.ZipInfo) -> None:
        info.external_attr = (stat.S_IFLNK | 0o777) << 16

    def nothing(info: zipfile.ZipInfo) -> None:
        pass

    plain = edited(nothing)
    encrypted = bytearray(edited(nothing))
    entry = encrypted.rindex(b"PK\x01\x02")
    encrypted[entry + 8] |= 1
    latin = edited(nothing, "aaüaa.txt").replace("ü".encode(), b"\xfc\xfc")
    several = edited(nothing, "helper1.py")
    zeros = io.BytesIO()
    with zipfile.ZipFile(zeros, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("sums.ipynb", notebook)
        opened.writestr("zeros.bin", bytes(archive.MAX_FILE + 1))
    many = {"sums.ipynb": notebook} | {f"{n}.txt": b"" for n in range(10_000)}
    return {
        "bomb": (zeros.getvalue(), "zeros.bin: more than 50 MiB come out of it"),
        "parent": (edited(nothing, "../../x.txt"), "a path that leads out of its folder"),
        "absolute": (edited(nothing, "/etc/cron.d/x"), "an absolute path"),
        "drive": (edited(nothing, "C:/x.txt"), "an absolute path"),
        "backslash": (edited(nothing, "a\\..\\x.txt"), "a path with backslashes"),
        "link": (edited(link), "x.txt: a link"),
        "encrypted": (bytes(encrypted), "x.txt: encrypted"),
        "many": (zip_bytes(many), "10001 entries; at most 1000 are taken"),
        "encoding": (latin, "its name is in an unknown encoding"),
        "twice": (several.replace(b"helper1.py", b"sums.ipynb"), "stands twice in the ZIP"),
        "case": (zip_bytes({"sums.ipynb": notebook, "Data.csv": b"1", "data.csv": b"2"}), "in case alone"),
        "device": (edited(nothing, "data/AUX.txt"), "a name that Windows keeps for a device"),
        "nested": (zip_bytes({"sums.ipynb": notebook, "more.zip": plain}), "a ZIP inside a ZIP"),
        "direction": (edited(nothing, "a\u202etxt.py"), "characters that not every system allows"),
        "truncated": (plain[: len(plain) // 2], "no ZIP that can be opened"),
        "damaged": (plain.replace(b"../../etc", b"../../abc"), "x.txt: damaged"),
    }


def test_hostile_zips(course: Course, notebook: Callable[[str], bytes]) -> None:
    """Bombs, ways out, links, encryption, bad names: refused by name, while the class is imported."""
    download = Canvas()
    found = hostile(notebook("mine"))
    for number, (name, (content, _)) in enumerate(found.items()):
        download.upload(name, 100 + number, 500 + number, "work.zip", content)
    download.upload("Lovelace, Ada", 11, 900, "sums.ipynb", notebook("good"))
    ended = collect(
        course, download.save(course.root / "submissions.zip"), "canvas", "--json", str(course.root / "r.json")
    )
    assert ended.exit_code == 0, ended.output
    report = json.loads((course.root / "r.json").read_text("utf-8"))
    for name, (_, words) in found.items():
        said = [f"{one['name']}: {one['why']}" for one in report["not_used"] if one["name"].startswith(f"{name}_")]
        assert any(words in line for line in said), (name, said)
    lost = {"many", "truncated"}
    students = {one["student"].split("_")[0] for one in report["students"]}
    assert students == set(found) - lost | {"lovelaceada"}
    assert not (course.root.parent / "x.txt").exists()
    assert all(not path.is_symlink() for path in (course.root / "submitted").rglob("*"))


def test_notebooks_come_first(
    course: Course, notebook: Callable[[str], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a learner hands in too much, the notebook is taken and what is too much is named."""
    monkeypatch.setattr(unpack, "MAX_SUBMISSION", 40_000)
    download = Canvas()
    packed = zip_bytes({"a.bin": bytes(30_000), "b.bin": bytes(30_000), "sums.ipynb": notebook("mine")})
    download.upload("Lovelace, Ada", 11, 501, "work.zip", packed)
    ended = collect(course, download.save(course.root / "submissions.zip"), "canvas")
    assert set(submitted(course)) == {"lovelaceada_11/tiny/sums.ipynb", "lovelaceada_11/tiny/a.bin"}
    assert "b.bin: with it more than" in ended.stderr


def test_hostile_download(course: Course, notebook: Callable[[str], bytes]) -> None:
    """The outer ZIP may be hostile too: its bad entries are named, the others imported; what is no ZIP is an error."""
    download = Canvas()
    download.upload("Lovelace, Ada", 11, 501, "sums.ipynb", notebook("good"))
    download.upload("Noether, Emmy", 12, 502, "sums.ipynb", notebook("bäd"))
    files = dict(download.files) | {"../evil_13_503_sums.ipynb": b"{}", "unknown.txt": b"", "__MACOSX/._x": b""}
    path = course.root / "submissions.zip"
    raw = zip_bytes({name.replace("emmy", "émmy"): content for name, content in files.items()})
    path.write_bytes(raw.replace("é".encode(), b"\xe9\xe9"))
    ended = collect(course, path, "canvas")
    assert ended.exit_code == 0, ended.output
    assert set(submitted(course)) == {"lovelaceada_11/tiny/sums.ipynb"}
    assert "a path that leads out of its folder" in ended.stderr
    assert "in an unknown encoding" in ended.stderr
    path.write_bytes(b"no zip")
    assert "no ZIP that can be opened" in collect(course, path, "canvas").stderr
    assert "no submission as gradescope gives them" not in collect(course, path, "gradescope").stderr
    assert "There is no file" in collect(course, course.root / "missing.zip", "canvas").stderr


def test_unusable_rosters(course: Course, notebook: Callable[[str], bytes]) -> None:
    """A roster that cannot be used is named with its line, and two people of one name are not guessed at."""
    download = Canvas()
    download.upload("Lovelace, Ada", 11, 501, "sums.ipynb", notebook("x"))
    path = download.save(course.root / "submissions.zip")
    for lines, words in (
        (["name,points", "Ada,3"], "needs a column student_id"),
        (["student_id,name", "../up,Ada"], "line 2: '../up' cannot be a student"),
        (["student_id,submitted", "ada,yesterday"], "line 2: 'yesterday' is no date"),
        (["student_id"], "lists no student"),
    ):
        ended = collect(course, path, "canvas", "--roster", roster(course, *lines))
        assert (ended.exit_code, words in ended.stderr) == (1, True), ended.output
    two = roster(course, "student_id,last,first", "ada1,Lovelace,Ada", "ada2,Lovelace,Ada")
    assert "several students are called so: ada1, ada2" in collect(course, path, "canvas", "--roster", two).stderr


names = st.one_of(
    st.binary(min_size=1, max_size=40),
    st.text(min_size=1, max_size=20).map(lambda text: text.encode("utf-8", "replace")),
    st.lists(
        st.sampled_from([b"..", b"/", b"C:", b"a", b"\\", b"\x00", b"NUL", b".", b" ", "ü".encode()]), min_size=1
    ).map(b"".join),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=names, content=st.binary(max_size=60), marked=st.booleans())
def test_any_zip_is_safe(tmp_path: Path, name: bytes, content: bytes, marked: bool) -> None:
    """Any bytes as a name are refused, or stay in the folder that they are written to; no bytes crash the reader."""
    raw = bytearray(zip_bytes({"N" * len(name): content}))
    entry = raw.rindex(b"PK\x01\x02")
    raw[30 : 30 + len(name)] = raw[entry + 46 : entry + 46 + len(name)] = name
    if marked:  # as UTF-8, be it or not
        raw[7] |= 8
        raw[entry + 9] |= 8
    for data in (bytes(raw), bytes(raw[: len(raw) - len(content) % 40 - 1]), content + raw):
        try:
            with archive.opened(io.BytesIO(data), 10) as (entries, _):
                for one in entries:
                    assert (tmp_path / one.name).resolve().is_relative_to(tmp_path.resolve())
                    assert not {unicodedata.category(char) for char in one.name} & {"Cc", "Cs"}
                canvas.read(entries)
        except archive.BadArchive:
            pass
