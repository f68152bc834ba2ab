"""The rules of handing in: the one place where a course chooses them, ``c.HandIn`` in ``nbgrader_config.py``."""

from __future__ import annotations

import datetime
import re
import zoneinfo

from traitlets import Dict, Enum, Float, Int, TraitError, Unicode, validate
from traitlets.config import Config, Configurable

from dlcourse.errors import CourseError

# Each rule of `course check` that can be switched off, with what it holds a notebook to.
RULES = {
    "executed": "run from top to bottom in a fresh kernel, without an error",
    "outputs": "outputs stored below the cells that give any",
    "given": "locked cells, given text and their order as they were released",
    "scratch": "no empty cells and no code cells of one's own",
    "placeholders": "nothing left that stands for an answer, no TODO",
    "headings": "a bold red heading above every answer",
    "comments": "comments in the code of longer answers",
    "collaborators": "collaborators named, team no larger than allowed",
    "names": "file names as the course wants them, the same for notebook, PDF and ZIP",
    "pages": "a PDF beside the notebook can be opened and has the allotted pages",
}
_FIELDS = {"last", "first", "course", "term", "number", "assignment"}


class HandIn(Configurable):
    """What a course asks of a hand-in. The build writes it into every released notebook."""

    course = Unicode("dlcourse", help="The course in file names and page headers, such as ECE_4252.").tag(config=True)
    term = Unicode("", help="The term in file names, such as S25; empty: left out.").tag(config=True)
    pattern = Unicode(
        "{last}_{first}_{course}_{term}_assignment_{number}",
        help="A hand-in's name without its suffix, from {last}, {first}, {course}, {term}, {number}, {assignment}.",
    ).tag(config=True)
    numbers = Dict(
        key_trait=Unicode(), help="The number of an assignment; default: the first number in its name (ps6_rnn: 6)."
    ).tag(config=True)
    team = Int(1, min=1, help="How many learners may hand in together.").tag(config=True)
    rules = Dict(key_trait=Unicode(), help=f"Rules switched on or off: {{rule: bool}} of {', '.join(RULES)}.").tag(
        config=True
    )
    penalties = Dict(
        Float(min=0, max=100),
        key_trait=Unicode(),
        default_value={"headings": 20.0},
        help="Percent of the grade that breaking a rule may cost. Reported to learner and grader, never deducted.",
    ).tag(config=True)
    heading = Unicode("Solution to Problem {question}", help="The heading above an answer.").tag(config=True)
    heading_part = Unicode(
        " Part ({part})", help="What follows in the heading where a question has several answers: a, b, c, …"
    ).tag(config=True)
    comment_lines = Int(15, min=1, help="Answers in code of this many lines or more need a comment.").tag(config=True)
    max_pages = Int(0, min=0, help="The most pages that a PDF may have; 0: any number.").tag(config=True)
    layout = Enum(
        ["natural", "template"],
        "natural",
        help="Pages of a PDF. natural: every question as long as it is. template: the pages that the build allots.",
    ).tag(config=True)
    timezone = Unicode("UTC", help="The zone that deadlines are stated in, such as America/New_York.").tag(config=True)
    deadlines = Dict(
        Unicode(),
        key_trait=Unicode(),
        help="When an assignment is due, in `timezone`: {'ps6_rnn': '2025-04-18 20:00'}.",
    ).tag(config=True)

    @classmethod
    def read(cls, config: Config, assignment: str) -> HandIn:
        """The configured rules.

        Raises:
            CourseError: a value that no rule has, named with what it may be.
        """
        try:
            rules = cls(config=config)
            rules.deadline(assignment)
        except TraitError as error:
            raise CourseError(f"nbgrader_config.py: {error}") from error
        return rules

    @validate("rules", "penalties")
    def _known_rules(self, proposal: dict) -> dict:
        if unknown := set(proposal["value"]) - set(RULES):
            raise TraitError(f"HandIn.{proposal['trait'].name}: no rule is called {', '.join(sorted(unknown))}")
        return proposal["value"]

    @validate("pattern")
    def _known_fields(self, proposal: dict) -> str:
        fields = set(re.findall(r"\{(\w*)\}", proposal["value"]))
        plain = re.sub(r"\{\w+\}", "", proposal["value"])
        if fields - _FIELDS or not {"last", "first"} <= fields or re.search(r"[^\w.+-]", plain):
            raise TraitError(
                f"HandIn.pattern needs {{last}} and {{first}}, and may name {', '.join(sorted(_FIELDS))} "
                f"between letters, digits and _.+-: "
                f"{proposal['value']!r}"
            )
        return proposal["value"]

    @validate("heading", "heading_part")
    def _known_parts(self, proposal: dict) -> str:
        try:
            proposal["value"].format(question="1", part="a")
        except (KeyError, ValueError, IndexError) as error:
            raise TraitError(f"HandIn.{proposal['trait'].name} may name {{question}} and {{part}} alone") from error
        return proposal["value"]

    @validate("timezone")
    def _known_zone(self, proposal: dict) -> str:
        try:
            zoneinfo.ZoneInfo(proposal["value"])
        except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
            raise TraitError(f"HandIn.timezone: no time zone is called {proposal['value']!r}") from error
        return proposal["value"]

    def on(self, rule: str) -> bool:
        """Whether a rule holds in this course; all of them unless switched off."""
        return bool(self.rules.get(rule, True))

    def number(self, assignment: str) -> str:
        """The number of an assignment in file names; its name where it has none."""
        found = re.search(r"\d+", assignment)
        return str(self.numbers.get(assignment, found.group().lstrip("0") or "0" if found else assignment))

    def deadline(self, assignment: str) -> datetime.datetime | None:
        """When an assignment is due, with its zone.

        Raises:
            TraitError: what is configured is no date and time.
        """
        text = self.deadlines.get(assignment)
        if text is None:
            return None
        try:
            return self.local(datetime.datetime.fromisoformat(text))
        except ValueError as error:
            raise TraitError(f"HandIn.deadlines: {text!r} is no date and time like '2025-04-18 20:00'") from error

    def local(self, moment: datetime.datetime) -> datetime.datetime:
        """A moment in the course's zone; one without a zone was meant in it."""
        zone = zoneinfo.ZoneInfo(self.timezone)
        return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)
