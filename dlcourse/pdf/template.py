"""The page: paper, fonts, header and footer, and the Typst functions that the blocks call."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from dlcourse.pdf.escape import Escaper, literal

TEXT_WIDTH = 481.0  # points: A4 less two margins of 2 cm
TEXT_TOP, TEXT_HEIGHT = 68.0, 710.0  # points: A4 less margins of 2.4 cm above and 2.2 cm below
COLUMNS = 92  # characters of an output line
_MAX_HEADER = 70  # characters of each part of the header

# Where the preamble takes strings, they are string literals of the escaper. `broken` lets a long word be cut anywhere
# without adding to its text.
_PREAMBLE = r"""
#set document(title: «title», author: «author», date: none)
#context {
  let sections = query(<section>).map(it => it.value).filter(it => not it.end)
  set document(keywords: («keywords»,))
}
#let places = «places»
#let pointers = «pointers»
#let printed() = { let n = here().page(); if places.len() == 0 { n } else { places.at(n - 1) } }
#set page(
  paper: "a4",
  margin: (x: 2cm, top: 2.4cm, bottom: 2.2cm),
  header: context {
    set text(size: 8.5pt, fill: luma(90))
    grid(columns: (1fr, auto, 1fr), column-gutter: 8pt, align: (left, center, right), «left», «middle», «right»)
    v(-6pt)
    line(length: 100%, stroke: 0.4pt + luma(160))
    let pointer = pointers.at(str(printed()) + "-top", default: none)
    if pointer != none { place(bottom + left, dy: 12pt, text(weight: "bold", fill: rgb("#8a5a00"), pointer)) }
  },
  footer: context {
    set text(size: 8.5pt, fill: luma(90))
    let pointer = pointers.at(str(printed()), default: none)
    if pointer != none { align(right, text(weight: "bold", fill: rgb("#8a5a00"), pointer)); v(-6pt) }
    align(center, "page " + str(printed()) + " of " + str(counter(page).final().first()))
  },
)
#set text(font: («fonts»), fallback: «fallback», size: 11pt, lang: "en")
#set par(spacing: 0.9em, leading: 0.6em)
#set list(indent: 0.6em)
#set enum(indent: 0.6em)
#set table(stroke: 0.5pt + luma(170), inset: 4.5pt)
#show math.equation: set text(font: ("New Computer Modern Math", «fonts»), fallback: «fallback»)
#show math.equation.where(block: true): set block(breakable: true)
#set math.mat(row-gap: 0.4em, column-gap: 0.9em)
#set math.cases(gap: 0.5em)
#show link: set text(fill: rgb("#1a4f9c"))
#show heading: set block(above: 1.3em, below: 0.8em)
#show heading.where(level: 1): set text(size: 17pt)
#show heading.where(level: 2): set text(size: 14pt)
#show heading.where(level: 3): set text(size: 12pt)
#show raw: set text(font: ("DejaVu Sans Mono", «fonts»), size: 8.4pt)
#let broken(it) = it.text.clusters().map(cluster => box(cluster)).join()
#show regex("\\S{50,}"): broken
#show raw.where(block: false): it => { show regex("\\S{24,}"): broken; it }
#show raw.line: it => { if it.text.len() > 80 { show regex("\\S{16,}"): broken; it.body } else { it.body } }
#set raw(syntaxes: "python.sublime-syntax")
#let code-block(source, lang) = block(
  width: 100%, fill: luma(246), stroke: (left: 2pt + rgb("#5b8bd0")), inset: 6pt, above: 0.9em, below: 0.7em,
  { set par(leading: 0.5em); raw(source, lang: lang, block: true) },
)
#let output-block(source, accent: luma(200)) = block(
  width: 100%, stroke: (left: 2pt + accent), inset: (left: 6pt, y: 3pt), above: 0.7em, below: 0.7em,
  { set par(leading: 0.45em); raw(source, block: true) },
)
#let error-block(source) = output-block(source, accent: rgb("#c0392b"))
#let warning-block(source) = output-block(source, accent: rgb("#e0a96d"))
#let plain-block(source) = output-block(source, accent: rgb("#d8a200"))
#let quote-block(it) = block(inset: (left: 8pt, y: 2pt), stroke: (left: 2pt + luma(200)), it)
#let alert-block(it) = block(
  width: 100%, fill: rgb("#eef5fc"), stroke: 0.5pt + rgb("#b7d3ee"), inset: 6pt, radius: 2pt, it,
)
#let note(message) = box(
  stroke: 0.6pt + rgb("#b8860b"), fill: rgb("#fff8e1"), inset: (x: 4pt, y: 2pt), outset: (y: 1pt), radius: 2pt,
  text(size: 9pt, message),
)
#let fitted(width, height, path, alt) = layout(size => {
  let k = calc.min(1, size.width / (width * 1pt), «max_height» / height)
  image(path, width: width * k * 1pt, height: height * k * 1pt, fit: "stretch", alt: alt)
})
#let figure-block(..it) = block(breakable: false, width: 100%, fitted(..it))
#let inline-image(width, height, path, alt) = box(
  image(path, width: width * 1pt, height: height * 1pt, fit: "stretch", alt: alt),
)
#let fitted-table(columns, headers, default, ..cells) = block(width: 100%, layout(size => {
  let made(inset) = table(
    columns: columns, align: default, inset: inset, stroke: 0.5pt + luma(190),
    fill: (x, y) => if y < headers { luma(235) }, ..cells.pos(),
  )
  show table.cell: it => if it.y < headers { strong(it) } else { it }
  let wanted = measure(made(4.5pt)).width
  if wanted <= size.width { made(4.5pt) } else {
    let k = calc.max(0.5, 0.97 * size.width / wanted)
    set text(size: 1em * k)
    show regex("\\S{18,}"): broken
    show regex(if columns > 14 { "\\S{5,}" } else { "\\S{12,}" }): broken
    made(4.5pt * k)
  }
}))
#let fit(breakable, it) = layout(size => {
  let width = measure(it).width
  let k = calc.min(1, size.width / width) * 100%
  if k == 100% { it } else if breakable and k < 65% { $display(#it.body)$ } else {
    scale(x: k, y: k, reflow: true, origin: left, block(width: width, it))
  }
})
#let display-math(alt, tag, breakable, it) = block(width: 100%, above: 0.9em, below: 0.9em, {
  set math.equation(alt: alt)
  let fitted = fit(breakable, it)
  if tag == "" { fitted } else { grid(columns: (1fr, auto), align: horizon, column-gutter: 6pt, fitted, tag) }
})
#let inline-math(alt, it) = { set math.equation(alt: alt); it }
#let tall-math(alt, it) = box({
  set math.equation(alt: alt)
  context {
    let k = calc.min(1, «width»pt / measure(it).width) * 100%
    if k < 100% { scale(x: k, y: k, reflow: true, it) } else { it }
  }
})
#let txgroup(it) = it
#let txhide(it) = hide(it)
#let txstrut(it) = box(width: 0pt, hide(it))
#let txcolour(c, it) = text(fill: c, it)
#let txmarked(c, it) = box(fill: c, inset: 2pt, outset: (y: 2pt), it)
#let txboxed(it) = box(stroke: 0.5pt, inset: (x: 4pt, y: 5pt), baseline: 5pt, $display(it)$)
#let txsmall(it) = text(size: 0.75em, it)
#let txlink(address, it) = link(address, it)
#let mark(title, end: false) = context [#metadata((
  title: title, end: end, page: here().page(), y: here().position().y / 1pt,
)) <section>]
#let padding-page(title) = page(align(center + horizon, text(size: 9pt, fill: luma(140), title)))
"""
# The page map of a document whose pages stay where they are set: [title, first page, last page] of every section.
KEYWORDS = """"page-map " + json.encode(pretty: false, sections.enumerate().map(((i, it)) => (
    it.title, it.page,
    if i + 1 < sections.len() { sections.at(i + 1).page - 1 } else { counter(page).final().first() },
  )))"""


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_HEADER else line[: _MAX_HEADER - 1] + "…"


@dataclass(frozen=True)
class Header:
    """What stands at the top of every page: the notebook's title, whose it is, course and assignment."""

    title: str
    student: str = ""
    course: str = ""
    assignment: str = ""


@dataclass(frozen=True)
class Paging:
    """Where the pages of a document go after it is set, if not one after the other.

    Attributes:
        places: for each page as it is set, the number it gets.
        pointers: by such a number, what its footer says; with "-top" behind it, what its header says.
    """

    places: list[int] = field(default_factory=list)
    pointers: dict[str, str] = field(default_factory=dict)


def preamble(
    escaper: Escaper, header: Header, fonts: list[str], keywords: str = KEYWORDS, paging: Paging = Paging()
) -> str:
    """The Typst source before the first block.

    Args:
        escaper: writes the strings, which may come from anybody.
        header: left in it the student, in the middle the title, on the right course and assignment.
        fonts: families beside the typesetter's own that may be used for characters it lacks.
        keywords: Typst for the PDF's keywords.
        paging: for pages that do not stay where they are set.
    """
    right = " · ".join(part for part in (header.course, header.assignment) if part)
    values = {
        "title": escaper.string(_short(header.title)),
        "author": escaper.string(_short(header.student)),
        "left": escaper.string(_short(header.student)),
        "middle": escaper.string(_short(header.title)),
        "right": escaper.string(_short(right)),
        "keywords": keywords,
        "places": f"({''.join(f'{place}, ' for place in paging.places)})",
        "pointers": f"({''.join(f'{literal(k)}: {escaper.string(v)}, ' for k, v in paging.pointers.items()) or ':'})",
        "fonts": ", ".join(map(literal, ["Libertinus Serif", "DejaVu Sans", *fonts])),
        "fallback": "false" if fonts else "true",
        "max_height": str(TEXT_HEIGHT * 0.9),
        "width": str(TEXT_WIDTH),
    }
    return re.sub("«([a-z_]+)»", lambda match: values[match[1]], _PREAMBLE)
