"""The page: paper, fonts, header and footer, and the Typst functions that the blocks call."""

from dlcourse.pdf.escape import Escaper

TEXT_WIDTH = 481.0  # points: A4 less two margins of 2 cm
TEXT_HEIGHT = 690.0  # points
COLUMNS = 92  # characters of an output line
_MAX_HEADER = 70  # characters of each part of the header

# Doubled braces are Typst's. `broken` lets a long word be cut anywhere without adding to its text.
_PREAMBLE = """\
#set document(title: {title}, author: {author}, date: none)
#set page(
  paper: "a4",
  margin: (x: 2cm, top: 2.4cm, bottom: 2.2cm),
  header: {{
    set text(size: 8.5pt, fill: luma(90))
    grid(columns: (1fr, auto, 1fr), column-gutter: 8pt, align: (left, center, right) , {left}, {middle}, {right})
    v(-6pt)
    line(length: 100%, stroke: 0.4pt + luma(160))
  }},
  footer: context {{
    set text(size: 8.5pt, fill: luma(90))
    align(center, "page " + counter(page).display() + " of " + str(counter(page).final().first()))
  }},
)
#set text(font: ("Libertinus Serif", "DejaVu Sans"), size: 11pt, lang: "en")
#set par(spacing: 0.9em, leading: 0.6em)
#set list(indent: 0.6em)
#set enum(indent: 0.6em)
#set table(stroke: 0.5pt + luma(170), inset: 4.5pt)
#show table.cell.where(y: 0): strong
#show link: set text(fill: rgb("#1a4f9c"))
#show heading: set block(above: 1.3em, below: 0.8em)
#show heading.where(level: 1): set text(size: 17pt)
#show heading.where(level: 2): set text(size: 14pt)
#show heading.where(level: 3): set text(size: 12pt)
#show raw: set text(font: ("DejaVu Sans Mono", "DejaVu Sans"), size: 8.4pt)
#let broken(it) = it.text.clusters().map(cluster => box(cluster)).join()
#show regex("\\\\S{{50,}}"): broken
#show raw.where(block: false): it => {{ show regex("\\\\S{{24,}}"): broken; it }}
#show table.cell: it => {{ show regex("\\\\S{{18,}}"): broken; it }}
#show raw.line: it => {{ if it.text.len() > 80 {{ show regex("\\\\S{{16,}}"): broken; it.body }} else {{ it.body }} }}
#let code-block(source, lang) = block(
  width: 100%, fill: luma(246), stroke: (left: 2pt + rgb("#5b8bd0")), inset: 6pt, above: 0.9em, below: 0.7em,
  {{ set par(leading: 0.5em); raw(source, lang: lang, block: true) }},
)
#let output-block(source, accent: luma(200)) = block(
  width: 100%, stroke: (left: 2pt + accent), inset: (left: 6pt, y: 3pt), above: 0.7em, below: 0.7em,
  {{ set par(leading: 0.45em); raw(source, block: true) }},
)
#let error-block(source) = output-block(source, accent: rgb("#c0392b"))
#let plain-block(source) = output-block(source, accent: rgb("#d8a200"))
#let note(message) = box(
  stroke: 0.6pt + rgb("#b8860b"), fill: rgb("#fff8e1"), inset: (x: 4pt, y: 2pt), outset: (y: 1pt), radius: 2pt,
  text(size: 9pt, message),
)
#let fitted(width, height, path, alt) = layout(size => {{
  let k = calc.min(1, size.width / (width * 1pt), {max_height} / height)
  image(path, width: width * k * 1pt, height: height * k * 1pt, fit: "stretch", alt: alt)
}})
#let figure-block(..it) = block(breakable: false, width: 100%, fitted(..it))
#let display-math(tag, width, height, path, alt) = block(breakable: false, width: 100%, above: 0.9em, below: 0.9em, {{
  if tag != "" {{ place(right + horizon, tag) }}
  align(center, block(width: 100% - if tag != "" {{ 4em }} else {{ 0em }}, fitted(width, height, path, alt)))
}})
#let inline-image(width, height, depth, path, alt) = box(
  baseline: depth * 1pt, image(path, width: width * 1pt, height: height * 1pt, fit: "stretch", alt: alt),
)
"""


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_HEADER else line[: _MAX_HEADER - 1] + "…"


def preamble(escaper: Escaper, title: str, student: str, course: str) -> str:
    """The Typst source before the first block.

    Args:
        escaper: writes the strings, which may come from anybody.
        title: of the notebook; left in the header, and in the PDF's properties.
        student: in the middle, may be empty.
        course: on the right, may be empty.
    """
    return _PREAMBLE.format(
        title=escaper.string(_short(title)),
        author=escaper.string(_short(student)),
        left=escaper.string(_short(title)),
        middle=escaper.string(_short(student)),
        right=escaper.string(_short(course)),
        max_height=TEXT_HEIGHT * 0.9,
    )
