"""The graph of a pipeline as a Mermaid text, and as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from ckpt.pipeline.graphs import Pipeline

#: Pixels: of a box in height, of a letter in width, and between boxes.
_HEIGHT, _LETTER, _GAP = 30, 8, 30


class Graph(str):
    """A Mermaid text, which a notebook shows as a picture."""

    __slots__ = ("picture",)

    #: The same as SVG.
    picture: str

    @staticmethod
    def of(sink: Pipeline) -> Graph:
        """Return the graph of a pipeline."""
        made = Graph(_mermaid(sink))
        made.picture = _svg(sink)
        return made

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": str(self), "image/svg+xml": self.picture}


def _mermaid(sink: Pipeline) -> str:
    names = {node: f"n{number}" for number, node in enumerate(sink.nodes())}
    lines = ["flowchart TD", *(f'    {name}["{_label(node.stage.name)}"]' for node, name in names.items())]
    for node, name in names.items():
        for number, each in enumerate(node.args):
            lines.append(f'    {names[each]} -->|"{_label(node.stage.input_name(number))}"| {name}')
    return "\n".join(lines)


def _label(text: str) -> str:
    """Return a text that can stand between quotes in Mermaid, which reads entities."""
    return "".join(each if each.isalnum() or each in " _.-+@=" else f"#{ord(each)};" for each in text)


def _svg(sink: Pipeline) -> str:
    """Return the graph in layers: each node below its deepest input."""
    layer: dict[Pipeline, int] = {}
    rows: list[list[Pipeline]] = []
    for node in sink.nodes():
        layer[node] = 1 + max((layer[each] for each in node.args), default=-1)
        rows += [[] for _ in range(layer[node] + 1 - len(rows))]
        rows[layer[node]].append(node)
    width = max(sum(_width(node) + _GAP for node in row) for row in rows)
    places: dict[Pipeline, tuple[float, float]] = {}
    for number, row in enumerate(rows):
        x = (width - sum(_width(node) + _GAP for node in row) + _GAP) / 2
        for node in row:
            places[node] = (x + _width(node) / 2, number * (_HEIGHT + _GAP) + _HEIGHT / 2 + 2)
            x += _width(node) + _GAP
    height = len(rows) * (_HEIGHT + _GAP) - _GAP + 4
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" font-family="sans-serif" font-size="13">'
    return "".join([head, *(_edges(node, places) for node in places), *(_box(node, *places[node]) for node in places), "</svg>"])


def _width(node: Pipeline) -> int:
    return _LETTER * len(node.stage.name) + 20


def _box(node: Pipeline, x: float, y: float) -> str:
    width = _width(node)
    frame = (
        f'<rect x="{x - width / 2:.1f}" y="{y - _HEIGHT / 2:.1f}" width="{width}" height="{_HEIGHT}" rx="5" fill="#eef3fb" stroke="#456"/>'
    )
    return f'{frame}<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle" fill="#123">{escape(node.stage.name)}</text>'


def _edges(node: Pipeline, places: Mapping[Pipeline, tuple[float, float]]) -> str:
    x, y = places[node]
    drawn = []
    for each in node.args:
        from_x, from_y = places[each]
        drawn.append(f'<path d="M{from_x:.1f} {from_y + _HEIGHT / 2:.1f}L{x:.1f} {y - _HEIGHT / 2:.1f}" stroke="#789" fill="none"/>')
    return "".join(drawn)
