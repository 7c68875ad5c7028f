"""A trace as a picture: the text of a Mermaid flowchart, or of a Graphviz graph."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from leftfold.trace.nodes import Trace, TracedCommand, TracedEvent, TracedReaction


class Node(NamedTuple):
    """A node of the picture: `kind` decides its shape."""

    id: str
    kind: str
    label: str


class Edge(NamedTuple):
    """An arrow from a cause to what came of it, with the time in between."""

    source: str
    target: str
    label: str


class Graph:
    """The nodes and edges of a trace, numbered in the order of the tree."""

    def __init__(self, trace: Trace) -> None:
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        for command in trace.commands:
            self._command(command, None)

    def __repr__(self) -> str:
        return f"<Graph of {len(self.nodes)} nodes>"

    def _add(self, kind: str, label: str, cause: str | None, waited: float | None) -> str:
        id = f"n{len(self.nodes) + 1}"
        self.nodes.append(Node(id, kind, label))
        if cause is not None:
            self.edges.append(Edge(cause, id, "" if waited is None else waited_text(waited)))
        return id

    def _command(self, command: TracedCommand, cause: str | None) -> None:
        id = self._add("command", "\n".join(command_lines(command)), cause, command.waited)
        for event in command.events:
            self._event(event, id)
        for following in command.commands:
            self._command(following, id)

    def _event(self, event: TracedEvent, cause: str) -> None:
        id = self._add("event", f"{event.position} {event.type}", cause, None)
        for reaction in event.reactions:
            self._reaction(reaction, id)
        for following in event.commands:
            self._command(following, id)

    def _reaction(self, reaction: TracedReaction, cause: str) -> None:
        id = self._add("reaction", f"{reaction.by}\n{reaction_text(reaction)}", cause, reaction.waited)
        for command in reaction.commands:
            self._command(command, id)


def command_lines(command: TracedCommand) -> Sequence[str]:
    """Return what a command is and what became of it, a line each."""
    outcome = f"{command.state}: {command.problem}" if command.problem else command.state
    if command.attempts and command.state == "handled":
        outcome = f"{outcome} after {len(command.attempts)} failed attempt{'s' * (len(command.attempts) > 1)}"
    return [command.type or "no command", outcome]


def reaction_text(reaction: TracedReaction) -> str:
    """Return what became of an event in a process or reactor."""
    text = "answered, and ended" if reaction.done else reaction.state
    return f"{text}: {reaction.error}" if reaction.error else text


def waited_text(seconds: float) -> str:
    """Return a duration as `3 ms`, `2.5 s`, `4 min`, `3 h` or `2 d`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.1f} s"


MERMAID_SHAPES = {"command": ('["', '"]'), "event": ('(["', '"])'), "reaction": ('{{"', '"}}')}
DOT_SHAPES = {"command": "box", "event": "oval", "reaction": "hexagon"}


def mermaid(trace: Trace) -> str:
    """Return the trace as a Mermaid flowchart; characters that mean something there are written as their numbers."""
    return "\n".join(_mermaid_lines(Graph(trace))) + "\n"


def dot(trace: Trace) -> str:
    """Return the trace as a graph for Graphviz."""
    return "\n".join(_dot_lines(Graph(trace))) + "\n"


def _mermaid_lines(graph: Graph) -> Iterator[str]:
    yield "flowchart LR"
    for node in graph.nodes:
        opening, closing = MERMAID_SHAPES[node.kind]
        yield f"    {node.id}{opening}{_for_mermaid(node.label)}{closing}"
    for edge in graph.edges:
        yield f"    {edge.source} -->{f'|{_for_mermaid(edge.label)}|' if edge.label else ''} {edge.target}"


def _for_mermaid(text: str) -> str:
    plain = "".join(each if each.isalnum() or each in " .,:-_/\n" else f"#{ord(each)};" for each in text)
    return plain.replace("\n", "<br/>")


def _dot_lines(graph: Graph) -> Iterator[str]:
    yield "digraph trace {"
    yield "    rankdir=LR;"
    for node in graph.nodes:
        yield f"    {node.id} [shape={DOT_SHAPES[node.kind]}, label={_for_dot(node.label)}];"
    for edge in graph.edges:
        yield f"    {edge.source} -> {edge.target} [label={_for_dot(edge.label)}];"
    yield "}"


def _for_dot(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{"".join(each if each.isprintable() else "?" for each in quoted)}"'
