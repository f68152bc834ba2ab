"""Gradescope's "Export Submissions": a folder, or a PDF, for each submission, and ``submission_metadata.yml``.

The keys of the file are the names of the folders or PDFs; below each stand ``:submitters:`` (a team has several) with
``:name:``, ``:sid:``, ``:email:``, and ``:created_at:``.
"""

from __future__ import annotations

import datetime
from pathlib import PurePosixPath
from typing import Any

import yaml

from dlcourse.errors import CourseError
from dlcourse.handin.archive import BadArchive, Entry, Refusal
from dlcourse.handin.downloads import HandedIn, Person, Upload, ascii_id
from dlcourse.handin.paths import is_junk, shown

METADATA = "submission_metadata.yml"
MAX_METADATA = 200 * 2**20  # bytes; it holds the outputs of every autograder run


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Plain values alone; Ruby's own objects become what they hold."""


def _ruby(loader: Any, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        content = loader.construct_mapping(node, deep=True)
        return content.get("utc", content)  # ActiveSupport::TimeWithZone
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)


_Loader.add_multi_constructor("!ruby/", _ruby)


def read(entries: list[Entry]) -> tuple[list[HandedIn], list[Refusal]]:
    """What each person handed in, and what of the export is no submission.

    Raises:
        CourseError: there is no metadata file in it, or it cannot be read.
    """
    described = [entry for entry in entries if PurePosixPath(entry.name).name == METADATA and not is_junk(entry.name)]
    if not described:
        raise CourseError(
            f"There is no {METADATA} in it. In Gradescope choose Review Grades → Export Submissions, and name that ZIP."
        )
    entry = min(described, key=lambda e: e.name.count("/"))
    root = entry.name.removesuffix(METADATA)
    records = _records(entry)
    files: dict[str, list[Entry]] = {}
    refused: list[Refusal] = []
    for other in entries:
        key = other.name.removeprefix(root).split("/")[0]
        if other is not entry and other.name.startswith(root) and key in records:
            files.setdefault(key, []).append(other)
        elif other is not entry and not is_junk(other.name):
            refused.append(Refusal(shown(other.name), f"not named in {METADATA}"))
    found: list[HandedIn] = []
    for key, record in records.items():
        team, problem = _team(record)
        if problem or key not in files:
            refused.append(Refusal(shown(key), problem or "no file of it is in the export"))
            continue
        created = _moment(record.get(":created_at"))
        uploads = [Upload(e.name.removeprefix(root).removeprefix(f"{key}/"), e) for e in files[key]]
        order = int(created.timestamp() * 1000) if created else 0
        one = HandedIn(team[0], shown(key), "", uploads, created, order=order)
        found += [one.of(person, _default_id(person)) for person in team]
    return found, refused


def _records(entry: Entry) -> dict[str, dict[str, Any]]:
    try:
        records = yaml.load(entry.read(MAX_METADATA).decode("utf-8-sig"), _Loader)
    except BadArchive as error:
        raise CourseError(f"{METADATA} cannot be read: {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, AttributeError) as error:
        raise CourseError(f"{METADATA} is not valid YAML: {str(error).splitlines()[0][:200]}") from error
    if not isinstance(records, dict):
        raise CourseError(f"{METADATA} lists no submissions.")
    return {str(key): record if isinstance(record, dict) else {} for key, record in records.items()}


def _team(record: dict[str, Any]) -> tuple[list[Person], str | None]:
    submitters = record.get(":submitters")
    people = []
    for one in submitters if isinstance(submitters, list) else []:
        if isinstance(one, dict):
            name, email, sid = (str(one.get(key) or "").strip() for key in (":name", ":email", ":sid"))
            first, _, last = name.rpartition(" ")
            people.append(Person(email=email, sid=sid, name=name, first=first, last=last))
    return people, None if people else f"no submitter stands in {METADATA}"


def _default_id(person: Person) -> str:
    return ascii_id(person.sid) or person.email or ascii_id(person.name)


def _moment(value: Any) -> datetime.datetime | None:
    """A time with its zone; PyYAML gives times without one in UTC."""
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value.strip().replace(" UTC", "+00:00"))
        except ValueError:
            return None
    if not isinstance(value, datetime.datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
