"""Runbooks: notebooks as function calls, with checked parameters and an end that can be trusted.

``list``, ``describe`` and ``run`` are for people and programs that start one; ``apply`` and ``finish`` are
for the runbook itself.
"""

from createos_nb.runbooks.completion import finish
from createos_nb.runbooks.confirmation import apply
from createos_nb.runbooks.notebooks import describe, directory, find, list
from createos_nb.runbooks.runs import Run, run

__all__ = ["Run", "apply", "describe", "directory", "find", "finish", "list", "run"]
