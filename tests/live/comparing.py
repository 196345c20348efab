"""What two sessions answered to the same commands, compared word by word; and the differences that are known, each with its reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Addresses, and the same numbers in decimal.
_ADDRESS = re.compile(r"0x[0-9a-f]+|\bid=\d+")
_BOX = re.compile("[─ ]+")
_NOT_FOUND = re.compile(r"\*\*\* NameError: name '\w+' is not defined\n?")
#: What stands for a value that is another one in the capture: a placeholder, or the iterator that pickle makes of the items left over.
_STAND_IN = re.compile(r"<placeholder for [^<>]*(?:<[^<>]*>)?[^<>]*>|<list_iterator object[^<>]*>")

#: What is asked for by a name that no code in the frames names; the capture does not have it.
UNNAMED = {
    ("context_manager", "p log"),
    ("captured_lambda", "p double"),
    *(("partial_object", f"{command} job") for command in ("whatis", "source", "display")),
}
#: What pdb itself puts into the globals of the frame, from Python 3.12 on; in a capture those are not the dict that `exec` was given.
_OF_PDB = re.compile(r",\s+'__pdb_convenience_variables': \{[^{}]*\}")
#: An entry of a stack, again and again: how deep a recursion gets depends on what stands above it.
_AGAIN = re.compile(r"^((?:[> ] ).*\n-> .*\n)\1+", re.MULTILINE)
#: What every prompt must find, whether the live one does or not.
FOUND = {
    "p [fresh for _ in range(2)]": "[5, 5]",
    "p (lambda: fresh)()": "5",
    "p sum(fresh for _ in range(2))": "10",
    "p nested()": "6",
}
#: Where IPython shows more lines, because it does not find the failing expression in the rebuilt frame's bytecode.
MORE_LINES = {("one_line", "ipython")}


@dataclass(frozen=True)
class Answer:
    command: str
    live: str
    ours: str


class Sessions:
    """The transcripts of one program: live, and from its capture."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.text = (folder / "program.py").read_text()
        self.commands = ["", *(folder / "commands").read_text().splitlines()]
        file, name = json.loads((folder / "captured.json").read_text())
        self._captured = re.compile(rf"^[> ] {re.escape(file)}\(\d+\){re.escape(name)}\(\)", re.MULTILINE)

    def differences(self, ours: str = "captured.out") -> list[Answer]:
        """Return the commands that were answered differently, but for what is known."""
        live, answers = self._answers("live.out"), self._answers(ours)
        assert len(live) > 2, (self.folder / "live.err").read_text()
        assert len(live) == len(answers), (self.folder / "captured.err").read_text()
        pairs = (Answer(*each) for each in zip(self.commands, live, answers, strict=False))
        return [pair for pair in pairs if not self._is_same(pair) and not self._is_known(pair)]

    def printed_differently(self, name: str) -> list[str]:
        """Return both texts when what was printed of the exception differs."""
        if (self.folder.name, name) in MORE_LINES:
            return []
        live, ours = (self._masked((self.folder / f"{mode}.{name}").read_text()) for mode in ("live", "captured"))
        # Around another text, rich draws another box.
        plain = [_BOX.sub(" ", text) for text in (live, ours)]
        return [] if live == ours or _is_but_for_stand_ins(*plain) else [live, ours]

    def _masked(self, text: str) -> str:
        text = _ADDRESS.sub("0x", text)
        return re.sub(r"\d+", "0", text) if "#! other depth" in self.text else text

    def _answers(self, name: str) -> list[str]:
        return _ADDRESS.sub("0x", (self.folder / name).read_text()).split("(Pdb) ")

    def _is_same(self, pair: Answer) -> bool:
        if pair.command in FOUND and _NOT_FOUND.fullmatch(pair.ours):
            return False  # also where the live prompt does not find it either
        if "#! other callers" in self.text or "#! handled" in self.text:
            return self._from_captured(pair.live) == self._from_captured(pair.ours)
        if "#! other depth" in self.text and pair.command not in FOUND:
            return _AGAIN.sub(r"\1", self._masked(pair.live)) == _AGAIN.sub(r"\1", self._masked(pair.ours))
        if pair.command in ("p locals()", "pp locals()"):
            return _OF_PDB.sub("", pair.live) == _OF_PDB.sub("", pair.ours)
        return pair.live == pair.ours

    def _from_captured(self, answer: str) -> str:
        """Return a stack from the captured function on: the way to it is another."""
        found = self._captured.search(answer)
        return answer if found is None else answer[found.start() :]

    def _is_known(self, pair: Answer) -> bool:
        if _NOT_FOUND.fullmatch(pair.live):  # better than live: a scope typed at the prompt sees the frame's variables
            return pair.ours.rstrip("\n") == FOUND[pair.command] if pair.command in FOUND else not _NOT_FOUND.fullmatch(pair.ours)
        if (self.folder.name, pair.command) in UNNAMED:
            return re.search(r"NameError: name '\w+' is not defined", pair.ours) is not None
        return _is_but_for_stand_ins(pair.live, pair.ours)


def _is_but_for_stand_ins(live: str, ours: str) -> bool:
    """Whether the answers are the same but for values that cannot be kept as they are."""
    return _STAND_IN.search(ours) is not None and re.fullmatch("<.+?>".join(map(re.escape, _STAND_IN.split(ours))), live) is not None


def told(differences: list[Answer]) -> str:
    """Return differences for a person to read."""
    return "\n".join(_lines(differences))


def _lines(differences: list[Answer]) -> Iterator[str]:
    for each in differences:
        yield f"(Pdb) {each.command}\n--- live\n{each.live}\n--- captured\n{each.ours}"
