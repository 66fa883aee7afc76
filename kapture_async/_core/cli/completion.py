"""The ``completion`` command: the script with which a shell completes commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from .options import Sectioned

_HOW = """\
Print the script with which SHELL completes this program's commands, options and files.

\b
  bash   eval "$(PROGRAM completion bash)"        in ~/.bashrc
  zsh    eval "$(PROGRAM completion zsh)"         in ~/.zshrc
  fish   PROGRAM completion fish | source         in ~/.config/fish/config.fish
"""


@click.command(cls=Sectioned, help=_HOW)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script of a shell."""
    root = ctx.find_root()
    name = root.info_name or ""
    if " " in name:
        raise click.UsageError(f"a shell cannot complete `{name}`; install the package's command")
    variable = f"_{name}_COMPLETE".replace("-", "_").replace(".", "_").upper()
    made = get_completion_class(shell)
    assert made is not None
    # Not `source()`: for bash that starts the shell, to warn of versions from before 2016.
    script = made(root.command, {}, name, variable)
    print(script.source_template % script.source_vars())
