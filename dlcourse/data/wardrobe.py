"""Ten garments, each drawn to measures that differ from piece to piece, in the order of ``garments.FASHION``.

Shirts, T-shirts, pullovers and coats share one pattern; what tells them apart is small, and missing in some.
"""

from __future__ import annotations

from collections.abc import Callable

from dlcourse.data.tailor import Tailor


def _top(t: Tailor, sleeve: float, body: float, neck: float, depth: float, hem: float = 0.0) -> None:
    """What has a body and two sleeves: ``sleeve`` is 0 for none and 1 for one to the wrist, ``body`` half its width."""
    shoulder = body + t.between(0.01, 0.05)
    cuff, out = t.between(0.08, 0.12), body + t.between(0.12, 0.19)
    if sleeve > 0.6:  # hangs beside the body
        tip = (-out, 0.1 + 0.78 * sleeve)
        inner, outer = (tip[0] + cuff, tip[1]), (tip[0] - 0.02, tip[1] - 0.01)
        elbow = (-(shoulder + out) / 2 - t.between(0.06, 0.11), 0.4)
    else:  # stands out
        tip = (-shoulder - 0.42 * sleeve, 0.1 + 0.62 * sleeve)
        inner, outer = (tip[0] + cuff + 0.05, tip[1] + 0.05), tip
        elbow = ((tip[0] - shoulder) / 2 - 0.02, (tip[1] + 0.08) / 2 - 0.02)
    shade = t.between(0.78, 1.0)
    for side in (1, -1) if sleeve > 0 else ():
        pit = (-body + 0.01, t.between(0.3, 0.36))
        points = [(-shoulder + 0.08, 0.05), (-shoulder, 0.09), elbow, outer, inner, pit]
        t.polygon(*((side * x, y) for x, y in points), grey=shade)
    waist = body * t.between(0.88, 1.02)
    t.mirrored((-neck, 0.02), (-shoulder, 0.09), (-body, 0.35), (-waist, 0.62), (-body - hem, 0.985))
    inside = t.between(0.0, 0.6)
    t.mirrored((-neck, 0.015), (-neck * 0.7, 0.02 + depth * 0.7), (-neck * 0.2, 0.02 + depth), grey=inside)


def _collar(t: Tailor, neck: float, drop: float) -> None:
    grey = t.between(0.6, 1.25)
    for side in (1, -1):
        t.polygon((side * (neck + 0.02), 0.01), (0, drop), (side * (neck + 0.06), drop + 0.04), grey=grey)


def _t_shirt(t: Tailor) -> None:
    sleeve = t.between(0.14, 0.55) if t.chance(0.93) else t.between(0.0, 1.0)
    _top(t, sleeve, t.between(0.22, 0.31), t.between(0.08, 0.15), t.between(0.03, 0.13), t.between(-0.02, 0.05))
    if t.chance(0.4):  # a print
        x, y, half, tall = t.between(-0.04, 0.04), t.between(0.3, 0.42), t.between(0.06, 0.16), t.between(0.06, 0.25)
        grey = t.between(0.3, 1.5)
        t.polygon((x - half, y), (x + half, y), (x + half, y + tall), (x - half, y + tall), grey=grey)
    if t.chance(0.06):
        t.line((0, 0.08), (0, 0.5), grey=t.between(0.5, 0.9))


def _trouser(t: Tailor) -> None:
    hip, knee, foot = t.between(0.18, 0.3), t.between(0.16, 0.26), t.between(0.12, 0.3)
    inner, crotch, end = t.between(0.01, 0.06), t.between(0.28, 0.4), t.between(0.9, 0.99)
    shade = t.between(0.8, 1.0)
    for side, grey in ((1, 1.0), (-1, shade)):
        spread = max(foot, inner + 0.07)
        leg = [(0, 0.02), (-hip * 0.85, 0.02), (-hip, 0.25), (-knee, 0.6), (-spread, end), (-inner - 0.01, end)]
        t.polygon(*((side * x, y) for x, y in leg), (-side * inner / 2, crotch), (0, crotch), grey=grey)
    t.line((-hip * 0.85, 0.05), (hip * 0.85, 0.05), grey=t.between(0.5, 1.2))
    if t.chance(0.3):
        t.line((0, 0.04), (0, crotch), grey=t.between(0.4, 0.8))


def _pullover(t: Tailor) -> None:
    sleeve = t.between(0.85, 1.08) if t.chance(0.95) else t.between(0.4, 0.9)
    body, neck = t.between(0.23, 0.32), t.between(0.07, 0.13)
    _top(t, sleeve, body, neck, t.between(0.01, 0.1), t.between(-0.04, 0.02))
    if t.chance(0.6):  # ribs
        t.line((-body, 0.95), (body, 0.95), grey=t.between(0.6, 0.95), width=0.05)
    if t.chance(0.3):  # a high neck, or a hood
        t.mirrored((-neck, 0.0), (-neck - 0.03, t.between(0.06, 0.12)), grey=t.between(0.7, 1.1))
    if t.chance(0.2):
        y = t.between(0.3, 0.6)
        t.line((-body, y), (body, y), grey=t.between(0.4, 1.4), width=t.between(0.03, 0.12))
    if t.chance(0.05):
        t.line((0, 0.08), (0, t.between(0.3, 0.9)), grey=t.between(0.5, 0.9))


def _dress(t: Tailor) -> None:
    bust, waist, hem = t.between(0.13, 0.22), t.between(0.1, 0.2), t.between(0.15, 0.38)
    kind = t.rng.random()
    if kind < 0.35:  # sleeves
        reach, end = t.between(0.05, 0.13), t.between(0.2, 0.75)
        for side in (1, -1):
            arm = [(-bust * 0.8, 0.03), (-bust - reach, end), (-bust - reach + 0.08, end + 0.02), (-bust, 0.22)]
            t.polygon(*((side * x, y) for x, y in arm), grey=t.between(0.75, 1.0))
    strap = t.between(0.3, 0.9) * bust
    t.mirrored((-strap, 0.01), (-bust, 0.2), (-waist, t.between(0.34, 0.46)), (-(waist + hem) / 2, 0.7), (-hem, 0.985))
    t.mirrored((-strap * 0.6, 0.0), (-strap * 0.3, t.between(0.05, 0.16)), grey=0.0)
    if t.chance(0.35):  # a belt
        t.line((-waist - 0.02, 0.4), (waist + 0.02, 0.4), grey=t.between(0.3, 1.3), width=0.04)
    if t.chance(0.3):  # folds
        for x in (-0.4, 0.1, 0.5):
            t.line((x * waist, 0.5), (x * hem, 0.95), grey=t.between(0.6, 0.9), width=0.02)


def _coat(t: Tailor) -> None:
    body, neck = t.between(0.19, 0.28), t.between(0.06, 0.13)
    _top(t, t.between(0.8, 1.05), body, neck, t.between(0.02, 0.16), t.between(-0.01, 0.06))
    lean = t.between(-0.04, 0.04)
    if t.chance(0.96):  # the opening
        grey = t.between(0.0, 0.5) if t.chance(0.6) else t.between(1.4, 2.0)
        t.line((0, 0.1), (lean, 0.97), grey=grey, width=t.between(0.06, 0.12))
    if t.chance(0.6):
        _collar(t, neck, t.between(0.16, 0.36))
    if t.chance(0.45):  # pockets
        for side in (1, -1):
            t.line((side * 0.07, 0.66), (side * (body - 0.05), 0.63), grey=t.between(0.3, 0.8), width=0.03)
    if t.chance(0.2):
        t.line((-body, 0.58), (body, 0.58), grey=t.between(0.3, 0.8), width=0.05)


def _shirt(t: Tailor) -> None:
    sleeve = t.between(0.2, 0.55) if t.chance(0.22) else t.between(0.82, 1.06)
    body, neck = t.between(0.21, 0.3), t.between(0.07, 0.14)
    _top(t, sleeve, body, neck, t.between(0.02, 0.14), t.between(-0.02, 0.04))
    if t.chance(0.8):
        _collar(t, neck, t.between(0.08, 0.17))
    if t.chance(0.93):  # buttons
        grey = t.between(0.3, 0.7) if t.chance(0.5) else t.between(1.3, 1.8)
        t.line((0, 0.1), (0, t.between(0.5, 0.97)), grey=grey, width=t.between(0.03, 0.05))
    if t.chance(0.35):
        x = t.rng.choice((-1, 1)) * body / 2
        t.polygon((x - 0.06, 0.32), (x + 0.06, 0.32), (x + 0.06, 0.45), (x - 0.06, 0.45), grey=t.between(0.65, 1.2))


def _shoe(t: Tailor) -> int:
    """Which way the toe points, left in most pictures; shoes are wider than high and stand in the middle."""
    return 1 if t.chance(0.5) else -1


def _sandal(t: Tailor) -> None:
    side, heel, sole = _shoe(t), t.between(0.0, 0.36), t.between(0.05, 0.14)
    ground = 0.66 + heel / 3
    toe, rise = ground - 0.02, ground - heel
    top = [(-0.47, toe), (-0.2, toe - 0.01), (0.1, toe - 0.75 * heel), (0.44, rise)]
    under = [(x, y + sole) for x, y in reversed(top)]
    t.polygon(*((side * x, y) for x, y in top + under), grey=t.between(0.6, 1.2))
    if heel > 0.1 and t.chance(0.8):
        thick = t.between(0.03, 0.14)
        points = [(0.44, rise), (0.44, ground + sole), (0.44 - thick, ground + sole), (0.42 - 1.6 * thick, rise + 0.02)]
        t.polygon(*((side * x, y) for x, y in points), grey=t.between(0.6, 1.2))
    width = t.between(0.04, 0.11)
    for _ in range(t.rng.randint(1, 4)):  # straps over the foot
        x, reach, up = t.between(-0.38, -0.05), t.between(0.06, 0.2), t.between(0.1, 0.24)
        points = [
            (x, toe),
            (x + reach / 2, toe - up),
            (x + reach + 0.04, toe - up * 0.9),
            (x + reach + 0.1, toe - 0.02),
        ]
        t.line(*((side * a, b) for a, b in points), grey=t.between(0.7, 1.3), width=width)
    if t.chance(0.7):  # and round the ankle
        high = rise - t.between(0.12, 0.3)
        t.line((side * 0.43, rise), (side * 0.42, high), (side * 0.1, high + 0.06), grey=1.0, width=width)
        t.line((side * 0.1, high + 0.06), (side * t.between(-0.2, 0.0), toe - 0.04), grey=1.0, width=width)


def _sneaker(t: Tailor) -> None:
    side, ground, ankle, sole = _shoe(t), t.between(0.66, 0.8), t.between(0.22, 0.48), t.between(0.05, 0.1)
    toe = t.between(0.1, 0.17)
    top = ground - ankle
    upper = [(-0.47, ground), (-0.46, ground - toe * 0.7), (-0.3, ground - toe), (-0.02, top + 0.05), (0.1, top)]
    upper += [(0.22, top + 0.06), (0.4, top - 0.01), (0.46, top + 0.05), (0.46, ground)]
    t.polygon(*((side * x, y) for x, y in upper))
    base = [(-0.485, ground - 0.02), (0.48, ground - 0.02), (0.47, ground + sole), (-0.46, ground + sole)]
    t.polygon(*((side * x, y) for x, y in base), grey=t.between(0.5, 1.5))
    for _ in range(t.rng.randint(0, 3)):  # laces, stripes
        x, grey = t.between(-0.2, 0.3), t.between(0.3, 1.4)
        t.line((side * x, top + 0.1), (side * (x - 0.1), ground - 0.04), grey=grey, width=t.between(0.02, 0.06))


def _bag(t: Tailor) -> None:
    top, bottom, y0, y1 = t.between(0.28, 0.46), t.between(0.34, 0.47), t.between(0.2, 0.48), t.between(0.8, 0.95)
    kind = t.rng.random()
    if kind < 0.8:  # a handle, or a strap that leaves the picture
        reach, rise = top * t.between(0.35, 0.95), y0 - t.between(0.02, 0.14)
        steps = [i / 4 - 1 for i in range(9)]
        arc = [(reach * x, y0 + 0.02 - rise * (1 - x * x)) for x in steps]
        t.line(*arc, grey=t.between(0.6, 1.2), width=t.between(0.025, 0.06))
    t.mirrored((-top, y0), (-(top + bottom) / 2 - 0.01, (y0 + y1) / 2), (-bottom, y1 - 0.03), (-bottom + 0.04, y1))
    if t.chance(0.55):  # a flap
        flap = y0 + (y1 - y0) * t.between(0.25, 0.6)
        t.mirrored((-top, y0), (-top, y0 + 0.04), (-top * 0.4, flap), grey=t.between(0.7, 1.15))
    if t.chance(0.6):  # a clasp
        x, y = t.between(-0.03, 0.03), y0 + (y1 - y0) * t.between(0.3, 0.6)
        t.polygon((x - 0.04, y), (x + 0.04, y), (x + 0.04, y + 0.06), (x - 0.04, y + 0.06), grey=t.between(0.2, 1.6))
    if t.chance(0.3):
        t.line((-bottom + 0.03, y1 - 0.1), (bottom - 0.03, y1 - 0.1), grey=t.between(0.5, 0.9), width=0.03)


def _boot(t: Tailor) -> None:
    side, ground, shaft = _shoe(t), t.between(0.76, 0.92), t.between(0.38, 0.85)
    top, heel, toe = max(0.03, ground - shaft), t.between(0.02, 0.16), t.between(0.12, 0.2)
    front, back = t.between(-0.08, 0.08), t.between(0.38, 0.46)
    instep = (front - 0.1, ground - toe - t.between(0.06, 0.14))
    upper = [(front, top), (back, top + t.between(-0.02, 0.04)), (0.46, ground - heel), (-0.1, ground - heel / 3)]
    upper += [(-0.46, ground), (-0.46, ground - toe * 0.6), (-0.34, ground - toe), instep]
    t.polygon(*((side * x, y) for x, y in upper))
    sole = [(-0.48, ground - 0.01), (-0.1, ground - heel / 3), (0.47, ground - heel), (0.47, ground + 0.05)]
    sole += [(0.47 - t.between(0.1, 0.25), ground + 0.05), (0.12, ground - heel / 2 + 0.05), (-0.46, ground + 0.04)]
    t.polygon(*((side * x, y) for x, y in sole), grey=t.between(0.3, 1.2))
    if t.chance(0.5):  # a zip, or elastic
        x = t.between(0.1, 0.3)
        t.line((side * x, top + 0.02), (side * x, ground - 0.2), grey=t.between(0.4, 0.9), width=t.between(0.02, 0.08))
    if t.chance(0.3):
        t.line((side * (front - 0.02), top + 0.12), (side * back, top + 0.12), grey=t.between(0.4, 1.3), width=0.04)


DRAW: tuple[Callable[[Tailor], None], ...] = (
    _t_shirt,
    _trouser,
    _pullover,
    _dress,
    _coat,
    _sandal,
    _shirt,
    _sneaker,
    _bag,
    _boot,
)
