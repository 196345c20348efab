"""The scripts in `completions/`: they ask the program (`_CKPT_COMPLETE=complete_zsh`), which answers with commands, options and names."""

from __future__ import annotations

from collections.abc import Iterable

from ckpt._model.record import NAME

#: The variable by which a shell asks.
VARIABLE = "_CKPT_COMPLETE"

_BASH = r"""_ckpt_completion() {
    local IFS=$'\n'
    COMPREPLY=( $( env COMP_WORDS="${COMP_WORDS[*]}" \
                   COMP_CWORD=$COMP_CWORD \
                   _CKPT_COMPLETE=complete_bash $1 ) )
    return 0
}

complete -o default -F _ckpt_completion ckpt
"""

# Typer's own text begins with an empty line, which hides it from compinit, and does nothing the first time that zsh loads it from `fpath`.
_ZSH = r"""#compdef ckpt

_ckpt_completion() {
  eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _CKPT_COMPLETE=complete_zsh ckpt)
}

if [ "$funcstack[1]" = "_ckpt" ]; then
  _ckpt_completion "$@"
else
  compdef _ckpt_completion ckpt
fi
"""

_FISH_ASK = "env _CKPT_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION={action} _TYPER_COMPLETE_ARGS=(commandline -cp) ckpt"
_FISH = (
    f'complete --command ckpt --no-files --arguments "({_FISH_ASK.format(action="get-args")})" '
    f'--condition "{_FISH_ASK.format(action="is-args")}"\n'
)

#: Shell to the script that is kept for it, and the file's name.
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
FILES = {"bash": "ckpt.bash", "zsh": "_ckpt", "fish": "ckpt.fish"}


def offered(names: Iterable[str], incomplete: str) -> list[str]:
    """Return those of `names` that begin with `incomplete` and are safe in every shell, each once."""
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete) and NAME.fullmatch(name)]


def script(instruction: str) -> str | None:
    """Return the script that `source_bash`, `source_zsh` or `source_fish` asks for; None for other instructions."""
    action, _, shell = instruction.partition("_")
    return SCRIPTS.get(shell) if action == "source" else None
