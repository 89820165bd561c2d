"""The top bar: which film lies open, undo and redo by name, whether all is saved."""

from __future__ import annotations

from studio.ui.panel import Panel, panel

TEMPLATE = """
<header class="top">
  <span class="brand">Pochoir</span>
  <button class="flat" id="projects" title="Projects: open another or make a new one"></button>
  <span class="facts" id="facts"></span>
  <span class="grow"></span>
  <button class="flat undo" id="undo" title="Undo (Ctrl+Z)"></button>
  <button class="flat undo" id="redo" title="Redo (Ctrl+Shift+Z)"></button>
  <span class="saved" id="saved" role="status"></span>
  <button class="flat icon" id="help" title="Keys (?)" aria-label="Keys">?</button>
</header>
<div class="toasts" id="toasts" role="alert"></div>
<dialog class="sheet" id="keys-sheet" aria-label="Keys"></dialog>
"""


def build() -> Panel:
    """The panel."""
    return panel("top_bar", TEMPLATE)
