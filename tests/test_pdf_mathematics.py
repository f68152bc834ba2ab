"""LaTeX mathematics: what is set, what is refused, and that it means what it says."""

from __future__ import annotations

import json
import random
import unicodedata
from pathlib import Path

import pymupdf
import pytest

from dlcourse.pdf.compiler import Compiler
from dlcourse.pdf.delimiters import extract
from dlcourse.pdf.escape import Escaper, literal
from dlcourse.pdf.glyphs import missing_characters
from dlcourse.pdf.mathematics import Formula, FormulaError, Formulas
from dlcourse.pdf.mathematics.symbols import SYMBOLS
from dlcourse.pdf.template import Header, preamble

FILES = Path(__file__).parent / "files" / "pdf"
CORPUS = [line for line in (FILES / "formulas.txt").read_text("utf-8").split("\n") if line and not line.startswith("#")]
OPENING = preamble(Escaper(), Header("t"), [])


def translated(tex: str) -> Formula | FormulaError | None:
    try:
        return Formulas(literal).translate(tex)
    except FormulaError as error:
        return error


def selectable(compiler: Compiler, code: str) -> str:
    """The text of a formula in the PDF, letters of mathematical alphabets as plain ones, without blanks."""
    page = pymupdf.open(stream=compiler.pdf(f"{OPENING}#page(header: none, footer: none)[$ {code} $]"))[0]
    return "".join(unicodedata.normalize("NFKC", page.get_text()).split())


def test_the_corpus_against_katex():
    """Of several hundred formulas the same are set and refused as by KaTeX, but for a few with a reason each.

    `scripts/katex_verdicts.mjs` makes the recorded verdicts anew.
    """
    recorded = json.loads((FILES / "katex.json").read_text("utf-8"))
    reasons = json.loads((FILES / "katex_differences.json").read_text("utf-8"))
    assert len(CORPUS) == len(set(CORPUS)) == recorded["formulas"] >= 300
    ours = {tex for tex in CORPUS if isinstance(translated(tex), FormulaError)}
    assert len(ours) > 30
    assert ours ^ set(recorded["refused"]) == set(reasons)


def test_the_typesetter_takes_every_formula_of_the_corpus(tmp_path):
    """What the translation lets through, the typesetter sets: displayed and within a line."""
    compiler = Compiler(tmp_path)
    codes = [f.code for f in map(translated, CORPUS) if isinstance(f, Formula)]
    assert len(codes) > 300
    displayed = [f'#display-math("a", "", false, $ {code} $);\n' for code in codes]
    inline = [f'#tall-math("a", ${code}$);\n\n' for code in codes]
    assert compiler.culprits(OPENING, displayed + inline) == []


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"y = Wx + b", "y=Wx+b"),
        (r"\frac12", "12"),
        (r"\text{loss at $t = 0$}", "lossatt=0"),
        (r"\mathbb{E}[x] \le \infty", "E[x]≤∞"),
        (r"\operatorname*{arg\,max}_k z", "argmaxkz"),
        (r"\left\{ a \right.", "{a"),
        (r"1{,}000", "1,000"),
        (r"\text{#read(\"x\")}", '#read(\\"x\\")'.replace("\\", "")),
    ],
)
def test_formulas_can_be_selected(tmp_path, tex, text):
    """What one copies from the page is the mathematics, sign by sign."""
    tex = tex.replace('\\"', '"')
    formula = translated(tex)
    assert isinstance(formula, Formula)
    assert selectable(Compiler(tmp_path), formula.code) == text


@pytest.mark.parametrize(
    ("tex", "same"),
    [
        (r"x^10", "x^{1}0"),
        (r"\frac ab", r"\frac{a}{b}"),
        (r"{a \over b}", r"{\frac{a}{b}}"),
        (r"f''", r"f^{\prime\prime}"),
        (r"x_i^2", "x^2_i"),
        (r"a % comment", "a"),
        (r"\stackrel{d}{=}", r"\overset{d}{=}"),
        (r"\begin{align*} a &= b \end{align*}", r"\begin{aligned} a &= b \end{aligned}"),
        (r"a \label{x} \notag", "a"),
    ],
)
def test_two_ways_to_write_the_same(tex, same):
    """LaTeX's own equivalences hold."""
    assert translated(tex).code.replace("txgroup", "") == translated(same).code.replace("txgroup", "")


def test_macros_reach_later_formulas():
    """A macro defined in one formula holds in the next, with its arguments, as in Jupyter."""
    formulas = Formulas(literal)
    assert formulas.translate(r"\newcommand{\pair}[2][a]{#1 + #2} \DeclareMathOperator*{\lse}{LSE}") is None
    assert formulas.translate(r"\let\both\pair") is None
    assert formulas.translate(r"\both{b}").code == formulas.translate(r"\pair{b}").code == "a + b"
    assert formulas.translate(r"\pair[c]{b}").code == "c + b"
    assert formulas.translate(r"\lse_k").code == 'op("LSE", limits: #true)_(k)'


def test_references_show_the_tag_of_their_label():
    r"""\eqref names the number of the formula it refers to."""
    formulas = Formulas(literal)
    assert formulas.translate(r"E = mc^2 \tag{7} \label{energy}").tag == "(7)"
    assert formulas.translate(r"\eqref{energy}").code == '"(7)"'
    assert formulas.translate(r"\begin{align} a &= b \tag{1} \label{a} \\ c &= d \tag{2} \label{b} \end{align}")
    assert formulas.translate(r"\ref{a}").code == '"1"'
    assert formulas.translate(r"\eqref{b}").code == '"(2)"'


@pytest.mark.parametrize("tex", ["", "x^", r"\left(x", "{" * 60 + "x" + "}" * 60, "x" * 20_000, r"\def\x{\x\x}\x", "&"])
def test_refusals_are_of_one_kind(tex):
    """Whatever is wrong with a formula, it is refused soon, with a reason."""
    error = translated(tex)
    assert isinstance(error, FormulaError)
    assert str(error)


def test_damaged_formulas_never_reach_the_page_as_code(tmp_path):
    """Formulas cut and mixed at random are set or refused; the typesetter refuses none that was let through."""
    chance = random.Random(5)
    pieces = [piece for tex in CORPUS for piece in (tex[: len(tex) // 2], tex[len(tex) // 2 :], tex)]
    extra = ["#read(1)", '"', "//", "/*", "`", "]", "#", "$", "\\", "@x", "é", "日", "😀", "{", "}", "_", "^", "&", "'"]
    mixed = ["".join(chance.choice(pieces + extra * 20) for _ in range(chance.randint(1, 4))) for _ in range(3_000)]
    codes = [f.code for f in map(translated, mixed) if isinstance(f, Formula)]
    assert len(codes) > 300
    assert Compiler(tmp_path).culprits(OPENING, [f"$ {code} $\n" for code in codes]) == []


def test_every_symbol_has_a_glyph(tmp_path):
    """No command stands for a character that the shipped fonts lack."""
    assert missing_characters(SYMBOLS.values(), Compiler(tmp_path)) == set()


@pytest.mark.parametrize(
    ("source", "formulas"),
    [
        ("costs $5 and $10", []),
        ("$x$ and $ y $", ["x", " y "]),
        ("`$a$` and $b$", ["b"]),
        ("```\n$a$\n```\n$b$", ["b"]),
        ("a stray ` and $x$\n\nb ` c", ["x"]),
        ("$$\na\n$$", ["\na\n"]),
        (r"\begin{align} a \end{align}", [r"\begin{align} a \end{align}"]),
        (r"\\(a\\) and \\[b\\]", ["a", "b"]),
        (r"\$5 and $x$", ["x"]),
        (r"$\text{a $b$ c}$", [r"\text{a $b$ c}"]),
        ("$a\n\nb$", []),
        ("| $|x|$ | $y$ |", ["|x|", "y"]),
    ],
)
def test_where_formulas_are(source, formulas):
    """Formulas are found where Jupyter finds them; prices and code are left alone."""
    found = extract(source)
    assert [tex for tex, _, _ in found.formulas] == formulas
    assert found.restored(found.text) == source
