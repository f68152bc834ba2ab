r"""The commands that take arguments: fractions, roots, accents, delimiters, fonts, text, arrows, references."""

from __future__ import annotations

import re

from dlcourse.pdf.mathematics.symbols import (
    ACCENTS,
    ARROWS,
    BIG,
    CLASSES,
    FONTS,
    NEGATED,
    SPACES,
    SYMBOLS,
    TEXT_FONTS,
)
from dlcourse.pdf.mathematics.tokens import FormulaError, Macro
from dlcourse.pdf.mathematics.translate import EMPTY, Translator, colour, command, joined, lettered, wrapped

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9 .\-]+")
_LENGTH = re.compile(r"\s*([-+]?)\s*(\d*\.?\d+)\s*(em|ex|pt|cm|mm|in|mu|px|pc|bp)\s*")
_TYPST_UNITS = {"ex": (0.43, "em"), "mu": (1 / 18, "em"), "px": (0.75, "pt"), "pc": (12, "pt"), "bp": (1, "pt")}
_MAX_LENGTH = 40.0  # em or the like: a space wider than the page helps nobody
_BARS = {"lvert": "opening", "rvert": "closing", "lVert": "opening", "rVert": "closing"}
_DELIMITERS = {
    ".": "", "(": r"\(", ")": r"\)", "[": r"\[", "]": r"\]", "|": "|", "\\|": "‖", "/": r"\/", "<": r"\⟨", ">": r"\⟩",
    "\\{": r"\{", "\\}": r"\}", "\\vert": "|", "\\lvert": "|", "\\rvert": "|", "\\Vert": "‖", "\\lVert": "‖",
    "\\rVert": "‖", "\\backslash": "∖",
}  # fmt: skip
_SHAPED = frozenset({
    "langle", "rangle", "lang", "rang", "lfloor", "rfloor", "lceil", "rceil", "lbrace", "rbrace", "lbrack", "rbrack",
    "lgroup", "rgroup", "llbracket", "rrbracket", "ulcorner", "urcorner", "llcorner", "lrcorner", "lmoustache",
    "rmoustache", "uparrow", "downarrow", "updownarrow", "Uparrow", "Downarrow", "Updownarrow",
})  # fmt: skip


@command("frac", "dfrac", "tfrac", "cfrac", "nicefrac", "sfrac")
def _fraction(translator: Translator, name: str) -> str:
    if name == "cfrac":
        translator.tokens.optional()
    fraction = f"frac({translator.argument()}, {translator.argument()})"
    return {"d": f"display({fraction})", "c": f"display({fraction})", "t": f"inline({fraction})"}.get(name[0], fraction)


@command("binom", "dbinom", "tbinom")
def _binomial(translator: Translator, name: str) -> str:
    binomial = f"binom({translator.argument()}, {translator.argument()})"
    return {"d": f"display({binomial})", "t": f"inline({binomial})"}.get(name[0], binomial)


@command("genfrac")
def _general_fraction(translator: Translator, name: str) -> str:
    left, right = (translator.tokens.text().strip() for _ in range(2))
    thickness, _ = translator.tokens.text().strip(), translator.tokens.group()
    above, below = translator.argument(), translator.argument()
    body = f"mat(delim: #none, {above}; {below})" if thickness.startswith("0") else f"frac({above}, {below})"
    return f"lr({_DELIMITERS.get(left, '')} {body} {_DELIMITERS.get(right, '')})" if left or right else body


@command("sqrt")
def _root(translator: Translator, name: str) -> str:
    index = translator.tokens.optional()
    if index is None and translator.tokens.raw_peek() == "[":
        raise FormulaError("a bracket is not closed")
    body = translator.argument()
    return f"sqrt({body})" if index is None else f"root({translator.part(index) or EMPTY}, {body})"


@command(*ACCENTS)
def _accent(translator: Translator, name: str) -> str:
    return f'accent({translator.argument()}, "{ACCENTS[name]}")'


@command("overline", "underline", "underbar", "cancel", "bcancel", "xcancel", "sout")
def _line(translator: Translator, name: str) -> str:
    options = {"bcancel": "inverted: #true, ", "xcancel": "cross: #true, ", "sout": "angle: #90deg, "}.get(name, "")
    function = {"underbar": "underline", "overline": "overline", "underline": "underline"}.get(name, "cancel")
    return f"{function}({options}{translator.argument()})"


@command("cancelto")
def _cancel_to(translator: Translator, name: str) -> str:
    value, body = translator.argument(), translator.argument()
    return f"txgroup(cancel({body}))^({value})"


@command("underbrace", "overbrace", "underbracket", "overbracket")
def _brace(translator: Translator, name: str) -> str:
    return f"{name}({translator.argument()})"


@command("overset", "stackrel", "underset")
def _over(translator: Translator, name: str) -> str:
    script, base = translator.argument(), translator.argument()
    return f"txgroup(limits({base}){'_' if name == 'underset' else '^'}({script}))"


@command("underrightarrow", "underleftarrow")
def _arrow_below(translator: Translator, name: str) -> str:
    return f"txgroup(limits({translator.argument()})_({'→' if 'right' in name else '←'}))"


@command(*ARROWS)
def _long_arrow(translator: Translator, name: str) -> str:
    below = translator.tokens.optional()
    above = translator.argument()
    scripts = f"t: {above}" + (f", b: {translator.part(below) or EMPTY}" if below is not None else "")
    return f"attach(limits(stretch({ARROWS[name]}, size: #(100% + 1em))), {scripts})"


@command("left")
def _left(translator: Translator, name: str) -> str:
    opening = _delimiter(translator)
    parts = [translator.sequence(frozenset({"\\right", "\\middle"}))]
    while translator.tokens.take("\\middle"):
        middle = _delimiter(translator)
        parts += [f"mid({middle})" if middle else "", translator.sequence(frozenset({"\\right", "\\middle"}))]
    if not translator.tokens.take("\\right"):
        raise FormulaError(r"\left without \right")
    body = joined(parts) or EMPTY
    closing = _delimiter(translator)
    return f"lr({opening} {body} {closing})" if opening or closing else f"txgroup({body})"


@command(*(size + side for size in BIG for side in ("", "l", "r", "m")))
def _big(translator: Translator, name: str) -> str:
    delimiter = _delimiter(translator)
    size, side = (name, "") if name in BIG else (name[:-1], name[-1])
    if not delimiter:
        return ""
    kind = {"l": "opening", "r": "closing", "m": "relation"}.get(side, "normal")
    if not side and delimiter in (r"\(", r"\[", r"\{", r"\⟨", r"\⌊", r"\⌈"):
        kind = "opening"
    if not side and delimiter in (r"\)", r"\]", r"\}", r"\⟩", r"\⌋", r"\⌉"):
        kind = "closing"
    return f'class("{kind}", lr(size: #{BIG[size]}em, {delimiter}))'


def _delimiter(translator: Translator) -> str:
    token = translator.tokens.next()
    if token in _DELIMITERS:
        return _DELIMITERS[token]
    if token[:1] == "\\" and token[1:] in _SHAPED:
        return SYMBOLS[token[1:]]
    raise FormulaError(f"{token} is no delimiter")


@command("|", "vert", "Vert", *_BARS)
def _bar(translator: Translator, name: str) -> str:
    return f'class("{_BARS.get(name, "normal")}", {"‖" if name == "|" or name.endswith("Vert") else "|"})'


@command("colon")
def _colon(translator: Translator, name: str) -> str:
    return r'class("punctuation", \:)'


@command(*FONTS)
def _font(translator: Translator, name: str) -> str:
    functions = FONTS[name]
    if translator.tokens.peek() is None:
        raise FormulaError("an argument is missing")
    tokens = translator.tokens.group()
    word = "".join(tokens).strip()
    if _WORD.fullmatch(word) and functions[0] in ("upright", "sans", "mono", "italic"):  # a word, not a product
        literal = translator.notes.write(word.replace(" ", ""))
        return lettered(tuple(name for name in functions[-1:] if name != "upright"), literal)
    return wrapped(functions, translator.part(tokens) or EMPTY)


@command(*TEXT_FONTS)
def _text(translator: Translator, name: str) -> str:
    return text(translator, translator.tokens.group(), TEXT_FONTS[name])


def text(translator: Translator, tokens: list[str], functions: tuple[str, ...] = ()) -> str:
    r"""The argument of \text: words, with mathematics between dollar signs and a few commands."""
    parts: list[str] = []
    words = ""

    def flush() -> None:
        nonlocal words
        if words:
            parts.append(lettered(functions, translator.notes.write(words)))
        words = ""

    reader = translator.tokens.part(tokens)
    while reader.waiting:
        if reader.waiting[-1] in reader.macros:
            reader.peek()
            continue
        token = reader.waiting.pop()
        if token == "$":
            formula = []
            while reader.waiting and reader.waiting[-1] != "$":
                formula.append(reader.waiting.pop())
            if not reader.waiting:
                raise FormulaError("a $ within text is not closed")
            reader.waiting.pop()
            flush()
            parts.append(translator.part(formula))
        elif token[0] == "\\" and token[1:] in TEXT_FONTS | FONTS.keys():
            flush()
            inner = (*functions, *TEXT_FONTS.get(token[1:], FONTS.get(token[1:], ())))
            parts.append(text(translator, reader.group(), tuple(f for f in inner if f != "upright")))
        elif token[0] == "\\" and len(token) > 1:
            words += _text_command(token[1:])
        elif token not in "{}":
            words += "\u00a0" if token == "~" else token
    flush()
    return joined(parts) or EMPTY


def _text_command(name: str) -> str:
    if name in SPACES:
        return "" if name == "!" else " "
    if name in ("{", "}", "#", "$", "%", "&", "_"):
        return name
    if name in SYMBOLS:
        return SYMBOLS[name].removeprefix("\\")
    if name == "\\":
        return " "
    raise FormulaError(f"unknown command \\{name} within text")


@command("operatorname", "operatornamewithlimits", "mathop")
def _operator(translator: Translator, name: str) -> str:
    limits = ", limits: #true" if translator.tokens.star() or name != "operatorname" else ""
    tokens = translator.tokens.group()
    plain = re.sub(r"\\(?:mathrm|text|rm|mathit)(?![A-Za-z])|[{}]", "", "".join(tokens))
    plain = re.sub(r"\\[,;: ]|~|\\thinspace(?![A-Za-z])", " ", plain).replace("\\!", "")
    if re.fullmatch(r"[\w\s\-*./']+", plain) and (name != "mathop" or len(plain) > 1):
        return f"op({translator.notes.write(' '.join(plain.split()))}{limits})"
    return f"op({translator.part(tokens) or EMPTY}{limits})"


@command("phantom", "hphantom", "vphantom", "smash", "mathclap", "mathllap", "mathrlap", "clap", "llap", "rlap")
def _invisible(translator: Translator, name: str) -> str:
    if name == "smash":
        translator.tokens.optional()
    body = translator.argument()
    function = {"phantom": "txhide", "hphantom": "txhide", "vphantom": "txstrut"}.get(name, "txgroup")
    return f"{function}({body})"


@command("boxed", "fbox")
def _boxed(translator: Translator, name: str) -> str:
    return f"txboxed({translator.argument() if name == 'boxed' else text(translator, translator.tokens.group())})"


@command("textcolor", "colorbox")
def _coloured(translator: Translator, name: str) -> str:
    shade = colour(translator.tokens.text())
    if name == "textcolor":
        return f"txcolour(#{shade}, {translator.argument()})"
    return f"txmarked(#{shade}, {text(translator, translator.tokens.group())})"


@command("hspace", "mspace", "kern", "mkern", "hskip", "mskip", "rule")
def _space(translator: Translator, name: str) -> str:
    translator.tokens.star()
    if name == "rule":
        raise FormulaError(r"unknown command \rule")
    length = translator.tokens.text() if translator.tokens.raw_peek() == "{" else _bare_length(translator)
    found = _LENGTH.fullmatch(length)
    if found is None:
        raise FormulaError(f"{length!r} is no length")
    factor, unit = _TYPST_UNITS.get(found[3], (1, found[3]))
    return f"#h({found[1].strip('+')}{min(float(found[2]) * factor, _MAX_LENGTH):.4g}{unit})"


def _bare_length(translator: Translator) -> str:
    """A length without braces: \\kern-2pt."""
    length = ""
    while translator.tokens.waiting and not _LENGTH.fullmatch(length):
        if not re.fullmatch(r"[-+.\d]+|[a-z]| ", translator.tokens.waiting[-1]):
            break
        length += translator.tokens.waiting.pop()
    return length


@command("tag")
def _tag(translator: Translator, name: str) -> str:
    star = translator.tokens.star()
    words = translator.tokens.text().replace("$", "").strip()
    translator.notes.tags.append(words if star else f"({words})")
    _name(translator)
    return ""


def _name(translator: Translator) -> None:
    """Let waiting labels stand for the last tag of this line, if it has one."""
    notes = translator.notes
    if notes.tags:
        notes.known.update(dict.fromkeys(notes.labels, notes.tags[-1]))
        notes.labels.clear()


@command("label")
def _label(translator: Translator, name: str) -> str:
    translator.notes.labels.append(translator.tokens.text().strip())
    _name(translator)
    return ""


@command("eqref", "ref")
def _reference(translator: Translator, name: str) -> str:
    label = translator.tokens.text().strip()
    words = translator.notes.known.get(label, f"({label})")
    return translator.notes.write(words if name == "eqref" else words.strip("()"))


@command("href", "url")
def _link(translator: Translator, name: str) -> str:
    address = translator.tokens.text()
    body = translator.notes.write(address) if name == "url" else translator.argument()
    if not re.match(r"https?://|mailto:", address):
        return body
    return f"txlink(#{translator.notes.write(address)}, {body})"


@command("bmod", "mod", "pmod", "pod")
def _modulo(translator: Translator, name: str) -> str:
    if name == "bmod":
        return 'op("mod")'
    word = "" if name == "pod" else 'op("mod") '
    body = translator.argument()
    return f"#h(1em) {word}{body}" if name == "mod" else rf"#h(0.7em) \( {word}{body} \)"


@command("not")
def _negated(translator: Translator, name: str) -> str:
    term = translator.atom()
    return NEGATED.get(term, f"cancel({term or EMPTY})")


@command(*CLASSES)
def _class(translator: Translator, name: str) -> str:
    return f'class("{CLASSES[name]}", {translator.argument()})'


@command("bra", "ket", "braket", "Bra", "Ket", "Braket")
def _bracket(translator: Translator, name: str) -> str:
    body = translator.argument()
    return {"bra": rf"lr(\⟨ {body} |)", "ket": rf"lr(| {body} \⟩)"}.get(name.lower(), rf"lr(\⟨ {body} \⟩)")


@command("TeX", "LaTeX")
def _logo(translator: Translator, name: str) -> str:
    return f'"{name}"'


@command("ensuremath")
def _ensured(translator: Translator, name: str) -> str:
    return f"txgroup({translator.argument()})"


@command("\\", "cr", "newline")
def _line_break(translator: Translator, name: str) -> str:
    return "\\ "


@command("newcommand", "renewcommand", "providecommand")
def _new_command(translator: Translator, name: str) -> str:
    tokens = translator.tokens
    tokens.star()
    names = [token for token in tokens.group() if token != " "]
    count = "".join(tokens.optional() or ["0"])
    default = tokens.optional()
    body = tokens.group()
    if len(names) != 1 or names[0][0] != "\\" or not re.fullmatch(r"\s*[0-9]\s*", count):
        raise FormulaError(f"\\{name} of what is no command")
    if name != "providecommand" or names[0] not in tokens.macros:
        tokens.macros[names[0]] = Macro(int(count), default, body)
    return ""


@command("def", "gdef")
def _definition(translator: Translator, name: str) -> str:
    tokens = translator.tokens
    defined = tokens.raw_peek()
    if defined is None or defined[0] != "\\":
        raise FormulaError(f"\\{name} of what is no command")
    tokens.waiting.pop()
    arguments = 0
    while tokens.waiting and tokens.waiting[-1] != "{":
        arguments += tokens.waiting.pop() == "#"
    tokens.macros[defined] = Macro(arguments, None, tokens.group())
    return ""


@command("let")
def _let(translator: Translator, name: str) -> str:
    tokens = translator.tokens
    defined = tokens.raw_peek()
    tokens.waiting[-1:] = []
    if tokens.raw_peek() == "=":
        tokens.waiting.pop()
    meaning = tokens.raw_peek()
    if defined is None or defined[0] != "\\" or meaning is None:
        raise FormulaError(r"\let of what is no command")
    tokens.waiting.pop()
    if defined != meaning:
        tokens.macros[defined] = tokens.macros.get(meaning, Macro(0, None, [meaning]))
    return ""


@command("DeclareMathOperator")
def _new_operator(translator: Translator, name: str) -> str:
    star = ["*"] if translator.tokens.star() else []
    names = [token for token in translator.tokens.group() if token != " "]
    body = translator.tokens.group()
    if len(names) != 1 or names[0][0] != "\\":
        raise FormulaError(rf"\{name} of what is no command")
    translator.tokens.macros[names[0]] = Macro(0, None, ["\\operatorname", *star, "{", *body, "}"])
    return ""
