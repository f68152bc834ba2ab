"""LaTeX commands that stand for one character or one word.

Characters are written out, never Typst's names for them: names have changed from version to version.
"""


def _table(text: str) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in text.split())


SYMBOLS = _table(r"""
alpha=α beta=β gamma=γ delta=δ epsilon=ϵ varepsilon=ε zeta=ζ eta=η theta=θ vartheta=ϑ iota=ι kappa=κ varkappa=ϰ
lambda=λ mu=μ nu=ν xi=ξ omicron=ο pi=π varpi=ϖ rho=ρ varrho=ϱ sigma=σ varsigma=ς tau=τ upsilon=υ phi=ϕ varphi=φ
chi=χ psi=ψ omega=ω digamma=ϝ Gamma=Γ Delta=Δ Theta=Θ Lambda=Λ Xi=Ξ Pi=Π Sigma=Σ Upsilon=Υ Phi=Φ Psi=Ψ Omega=Ω
varGamma=𝛤 varDelta=𝛥 varTheta=𝛩 varLambda=𝛬 varXi=𝛯 varPi=𝛱 varSigma=𝛴 varUpsilon=𝛶 varPhi=𝛷 varPsi=𝛹 varOmega=𝛺
pm=± mp=∓ times=× div=÷ cdot=⋅ cdotp=⋅ ast=∗ star=⋆ circ=∘ bullet=∙ oplus=⊕ ominus=⊖ otimes=⊗ oslash=⊘ odot=⊙
dagger=† ddagger=‡ amalg=⨿ cap=∩ cup=∪ uplus=⊎ sqcap=⊓ sqcup=⊔ vee=∨ lor=∨ wedge=∧ land=∧ setminus=∖
smallsetminus=∖ wr=≀ diamond=⋄ Diamond=◊ lozenge=◊ bigtriangleup=△ bigtriangledown=▽ triangleleft=◃ triangleright=▹
bigcirc=◯ barwedge=⊼ veebar=⊻ intercal=⊺ boxplus=⊞ boxtimes=⊠ boxdot=⊡ boxminus=⊟ ltimes=⋉ rtimes=⋊ dotplus=∔
divideontimes=⋇ circledast=⊛ circledcirc=⊚ circleddash=⊝ centerdot=⋅ curlyvee=⋎ curlywedge=⋏ Cap=⋒ Cup=⋓
leq=≤ le=≤ geq=≥ ge=≥ leqslant=⩽ geqslant=⩾ leqq=≦ geqq=≧ ll=≪ gg=≫ lll=⋘ ggg=⋙ neq=≠ ne=≠ equiv=≡ sim=∼ simeq=≃
approx=≈ cong=≅ propto=∝ varpropto=∝ prec=≺ succ=≻ preceq=⪯ succeq=⪰ preccurlyeq=≼ succcurlyeq=≽ precsim=≾ succsim=≿
parallel=∥ nparallel=∦ perp=⟂ mid=∣ nmid=∤ asymp=≍ doteq=≐ coloneqq=≔ coloneq=≔ eqqcolon=≕ vcentcolon=: triangleq=≜
models=⊨ vDash=⊨ vdash=⊢ Vdash=⊩ Vvdash=⊪ dashv=⊣ bowtie=⋈ Join=⋈ smile=⌣ frown=⌢ lesssim=≲ gtrsim=≳ lessgtr=≶
gtrless=≷ approxeq=≊ thickapprox=≈ thicksim=∼ backsim=∽ eqsim=≂ doteqdot=≑ risingdotseq=≓ fallingdotseq=≒ circeq=≗
bumpeq=≏ Bumpeq=≎ between=≬ pitchfork=⋔ trianglelefteq=⊴ trianglerighteq=⊵ vartriangleleft=⊲ vartriangleright=⊳
lessapprox=⪅ gtrapprox=⪆ lessdot=⋖ gtrdot=⋗ nleq=≰ ngeq=≱ nless=≮ ngtr=≯ nsim=≁ ncong=≇ nprec=⊀ nsucc=⊁ npreceq=⋠
nsucceq=⋡ nvdash=⊬ nvDash=⊭ in=∈ isin=∈ notin=∉ ni=∋ owns=∋ subset=⊂ sub=⊂ supset=⊃ subseteq=⊆ supseteq=⊇
subsetneq=⊊ supsetneq=⊋ subseteqq=⫅ supseteqq=⫆ nsubseteq=⊈ nsupseteq=⊉ sqsubseteq=⊑ sqsupseteq=⊒ sqsubset=⊏
sqsupset=⊐ Subset=⋐ Supset=⋑ emptyset=∅ varnothing=∅ empty=∅ complement=∁ forall=∀ exists=∃ nexists=∄ neg=¬ lnot=¬
top=⊤ bot=⊥ therefore=∴ because=∵ infty=∞ infin=∞ partial=∂ nabla=∇ ell=ℓ hbar=ℏ hslash=ℏ Re=ℜ Im=ℑ aleph=ℵ beth=ℶ
gimel=ℷ daleth=ℸ wp=℘ imath=ı jmath=ȷ eth=ð mho=℧ Finv=Ⅎ angle=∠ measuredangle=∡ sphericalangle=∢ triangle=△
vartriangle=△ triangledown=▽ square=□ Box=□ blacksquare=■ blacktriangle=▴ blacktriangledown=▾ blacklozenge=⧫
bigstar=★ clubsuit=♣ diamondsuit=♢ heartsuit=♡ spadesuit=♠ flat=♭ natural=♮ sharp=♯ surd=\√ checkmark=✓ degree=°
prime=′ backprime=‵ S=§ P=¶ copyright=© pounds=£ yen=¥ maltese=✠ circledR=® circledS=Ⓢ Bbbk=𝕜 diagup=╱ diagdown=╲
backslash=∖ leftarrow=← gets=← rightarrow=→ to=→ leftrightarrow=↔ Leftarrow=⇐ Rightarrow=⇒ Leftrightarrow=⇔
longleftarrow=⟵ longrightarrow=⟶ longleftrightarrow=⟷ Longleftarrow=⟸ Longrightarrow=⟹ Longleftrightarrow=⟺
iff=⟺ implies=⟹ impliedby=⟸ mapsto=↦ longmapsto=⟼ hookleftarrow=↩ hookrightarrow=↪ uparrow=↑ downarrow=↓
updownarrow=↕ Uparrow=⇑ Downarrow=⇓ Updownarrow=⇕ nearrow=↗ searrow=↘ swarrow=↙ nwarrow=↖ rightharpoonup=⇀
rightharpoondown=⇁ leftharpoonup=↼ leftharpoondown=↽ rightleftharpoons=⇌ leftrightharpoons=⇋ leadsto=⇝
rightsquigarrow=⇝ leftrightsquigarrow=↭ twoheadrightarrow=↠ twoheadleftarrow=↞ rightrightarrows=⇉ leftleftarrows=⇇
upuparrows=⇈ downdownarrows=⇊ rightleftarrows=⇄ leftrightarrows=⇆ dashrightarrow=⇢ dashleftarrow=⇠ circlearrowleft=↺
circlearrowright=↻ curvearrowleft=↶ curvearrowright=↷ nrightarrow=↛ nleftarrow=↚ nRightarrow=⇏ nLeftarrow=⇍
nleftrightarrow=↮ nLeftrightarrow=⇎ Lsh=↰ Rsh=↱ upharpoonright=↾ upharpoonleft=↿ restriction=↾ multimap=⊸
rightarrowtail=↣ leftarrowtail=↢ looparrowright=↬ looparrowleft=↫ Rrightarrow=⇛ Lleftarrow=⇚
ldots=… dots=… dotsc=… dotso=… mathellipsis=… textellipsis=… cdots=⋯ dotsb=⋯ dotsm=⋯ dotsi=⋯ vdots=⋮ ddots=⋱ iddots=⋰
sum=∑ prod=∏ coprod=∐ int=∫ iint=∬ iiint=∭ oint=∮ oiint=∯ oiiint=∰ bigcup=⋃ bigcap=⋂ bigoplus=⨁ bigotimes=⨂ bigodot=⨀
bigvee=⋁ bigwedge=⋀ biguplus=⨄ bigsqcup=⨆ smallint=∫ intop=∫ langle=\⟨ rangle=\⟩ lang=\⟨ rang=\⟩ lfloor=\⌊ rfloor=\⌋
lceil=\⌈ rceil=\⌉ lbrace=\{ rbrace=\} lbrack=\[ rbrack=\] lgroup=\⟮ rgroup=\⟯ llbracket=\⟦ rrbracket=\⟧
ulcorner=\⌜ urcorner=\⌝ llcorner=\⌞ lrcorner=\⌟ lmoustache=\⎰ rmoustache=\⎱ lt=< gt=>
""")

# Without the backslash Typst would pair these up and stretch what is between them.
PAIRED = frozenset("√∛∜⟨⟩⌊⌋⌈⌉⟦⟧⌜⌝⌞⌟⟮⟯⎰⎱")

OPERATORS = frozenset({
    "arccos", "arcsin", "arctan", "arg", "cos", "cosh", "cot", "coth", "csc", "deg", "dim", "exp", "hom", "ker", "lg",
    "ln", "log", "sec", "sin", "sinh", "tan", "tanh", "sgn",
})  # fmt: skip
LIMIT_OPERATORS = {name: name for name in ["det", "gcd", "inf", "lim", "max", "min", "Pr", "sup"]}
LIMIT_OPERATORS |= {"limsup": "lim sup", "liminf": "lim inf", "injlim": "inj lim", "projlim": "proj lim"}
LIMIT_OPERATORS |= {"argmax": "arg max", "argmin": "arg min"}

# Typst's function around the argument; two of them for upright bold.
FONTS = {
    "mathbb": ("bb",), "Bbb": ("bb",), "mathcal": ("cal",), "mathscr": ("scr",), "mathfrak": ("frak",),
    "mathsf": ("sans",), "mathtt": ("mono",), "mathit": ("italic",), "mathnormal": ("italic",),
    "mathrm": ("upright",), "mathup": ("upright",), "mathbf": ("upright", "bold"), "boldsymbol": ("bold",),
    "bm": ("bold",), "pmb": ("bold",), "mathbfit": ("bold",), "bold": ("upright", "bold"), "symbf": ("upright", "bold"),
}  # fmt: skip
SWITCHES = {  # old font and style switches: they hold to the end of the group
    "rm": ("upright",), "bf": ("upright", "bold"), "it": ("italic",), "sf": ("sans",), "tt": ("mono",),
    "cal": ("cal",), "frak": ("frak",), "displaystyle": ("display",), "textstyle": ("inline",),
    "scriptstyle": ("script",), "scriptscriptstyle": ("sscript",),
}  # fmt: skip
TEXT_FONTS: dict[str, tuple[str, ...]] = {
    "text": (), "textrm": (), "textnormal": (), "mbox": (), "hbox": (), "textup": (), "textmd": (),
    "textbf": ("bold",), "textit": ("italic",), "emph": ("italic",), "texttt": ("mono",), "textsf": ("sans",),
}  # fmt: skip
ACCENTS = {
    "hat": "\u0302", "widehat": "\u0302", "tilde": "\u0303", "widetilde": "\u0303", "bar": "\u0304", "vec": "\u20d7",
    "dot": "\u0307", "ddot": "\u0308", "dddot": "\u20db", "ddddot": "\u20dc", "check": "\u030c", "widecheck": "\u030c",
    "breve": "\u0306", "acute": "\u0301", "grave": "\u0300", "mathring": "\u030a", "overrightarrow": "→",
    "overleftarrow": "←", "overleftrightarrow": "↔",
}  # fmt: skip
SPACES = {  # in em
    ",": 0.1667, ":": 0.2222, ">": 0.2222, ";": 0.2778, "!": -0.1667, " ": 0.333, "\n": 0.333, "quad": 1, "qquad": 2,
    "enspace": 0.5, "enskip": 0.5, "thinspace": 0.1667, "medspace": 0.2222, "thickspace": 0.2778, "space": 0.333,
    "negthinspace": -0.1667, "negmedspace": -0.2222, "negthickspace": -0.2778, "nobreakspace": 0.333,
}  # fmt: skip
IGNORED = frozenset({
    "nonumber", "notag", "displaylimits", "nobreak", "allowbreak", "relax", "strut", "mathstrut", "centering",
    "noindent", "hfill", "hfil", "null", "tiny", "scriptsize", "footnotesize", "small", "normalsize", "large",
    "Large", "LARGE", "huge", "Huge",
})  # fmt: skip
BIG = {"big": 1.2, "Big": 1.8, "bigg": 2.4, "Bigg": 3.0}  # heights in em
CLASSES = {
    "mathbin": "binary", "mathrel": "relation", "mathord": "normal", "mathopen": "opening", "mathclose": "closing",
    "mathpunct": "punctuation", "mathinner": "normal",
}  # fmt: skip
NEGATED = dict(zip("=∈∋⊂⊃⊆⊇<>≤≥≡∼≈∃∥∣≅⊢⊨→⇒⟹", "≠∉∌⊄⊅⊈⊉≮≯≰≱≢≁≉∄∦∤≇⊬⊭↛⇏⇏", strict=True))
ARROWS = {  # stretched to what is written above them
    "xrightarrow": "→", "xleftarrow": "←", "xleftrightarrow": "↔", "xRightarrow": "⇒", "xLeftarrow": "⇐",
    "xLeftrightarrow": "⇔", "xmapsto": "↦", "xhookrightarrow": "↪", "xhookleftarrow": "↩", "xlongequal": "=",
    "xrightharpoonup": "⇀", "xleftharpoonup": "↼", "xrightleftharpoons": "⇌", "xtwoheadrightarrow": "↠",
}  # fmt: skip
