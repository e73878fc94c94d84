# SPDX-License-Identifier: LGPL-2.1-or-later
"""A plot of the table: a panel for each number of active processes, a line for each method, both axes logarithmic."""
import math
from xml.sax.saxutils import escape

# Told apart without colours, too: by their marks and by the names at their ends.
STYLES = {"forksrv": ("#0b6e4f", "circle"), "forkserver": ("#c1440e", "square"), "fork": ("#2d4f9e", "triangle"), "spawn": ("#6b6b6b", "diamond")}
WIDTH, HEIGHT, LEFT, TOP, GAP = 380, 300, 60, 64, 110


def _mark(shape, x, y, colour):
    if shape == "circle":
        return '<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>' % (x, y, colour)
    corners = {"square": [(-4, -4), (4, -4), (4, 4), (-4, 4)], "triangle": [(0, -5), (5, 4), (-5, 4)], "diamond": [(0, -5), (5, 0), (0, 5), (-5, 0)]}
    return '<polygon points="%s" fill="%s"/>' % (" ".join("%.1f,%.1f" % (x + a, y + b) for a, b in corners[shape]), colour)


class _Scale:
    """From a value to a place."""

    def __init__(self, values, start, end):
        self.low, self.high = math.log10(min(values)), math.log10(max(values))
        self.start, self.end = start, end

    def __call__(self, value):
        part = (math.log10(value) - self.low) / ((self.high - self.low) or 1)
        return self.start + part * (self.end - self.start)


def _apart(places, least=13):
    """Names at the ends of lines do not lie on each other."""
    placed = []
    for y, name in sorted(places):
        placed.append((max(y, placed[-1][0] + least) if placed else y, name))
    return placed


def _panel(rows, left, x, y, ticks, active):
    out = ['<text x="%d" y="%d" font-weight="bold">%d active</text>' % (left, TOP - 12, active)]
    for tick in ticks:
        out.append('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>' % (left, left + WIDTH, y(tick), y(tick)))
        out.append('<text x="%d" y="%.1f" text-anchor="end">%d</text>' % (left - 6, y(tick) + 4, tick))
    for total in sorted({row[1] for row in rows}):
        out.append('<text x="%.1f" y="%d" text-anchor="middle">%d</text>' % (left + x(total), TOP + HEIGHT + 18, total))
    out.append('<text x="%.1f" y="%d" text-anchor="middle">processes in all</text>' % (left + WIDTH / 2, TOP + HEIGHT + 36))
    ends = []
    for method, (colour, shape) in STYLES.items():
        points = [(left + x(total), y(mean), dev, mean) for a, total, m, mean, dev in rows if a == active and m == method]
        if not points:
            continue
        out.append('<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>' % (colour, " ".join("%.1f,%.1f" % p[:2] for p in points)))
        for px, py, dev, mean in points:
            low = y(max(mean - dev, min(ticks)))
            out.append('<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="%s"/>' % (px, px, y(mean + dev), low, colour))
            out.append(_mark(shape, px, py, colour))
        ends.append((points[-1][1], (method, points[-1][0], colour)))
    for py, (method, px, colour) in _apart(ends):
        out.append('<text x="%.1f" y="%.1f" fill="%s">%s</text>' % (px + 9, py + 4, colour, method))
    return out


def plot(rows, title):
    """rows: (active, total, method, mean, deviation)."""
    actives = sorted({row[0] for row in rows})
    most = max(row[3] + row[4] for row in rows)
    least = min(row[3] for row in rows)
    ticks = [v * 10 ** e for e in range(0, 6) for v in (1, 2, 5) if least / 2.6 <= v * 10 ** e <= most * 1.3]
    x = _Scale([row[1] for row in rows], 12, WIDTH - 12)
    y = _Scale([min(ticks), max(max(ticks), most)], TOP + HEIGHT, TOP)
    width = LEFT + len(actives) * (WIDTH + GAP)
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">' % (width, TOP + HEIGHT + 50),
           '<rect width="100%" height="100%" fill="white"/>', '<text x="%d" y="24" font-size="16">%s</text>' % (LEFT, escape(title))]
    for i, active in enumerate(actives):
        out += _panel(rows, LEFT + i * (WIDTH + GAP), x, y, ticks, active)
    return "\n".join([*out, "</svg>", ""])
