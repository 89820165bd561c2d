"""Render: bring the shot or the film up to date, with progress and a way to stop."""

from __future__ import annotations

from studio.ui.panel import Panel, panel

TEMPLATE = """
<section class="render">
  <div class="row">
    <span id="due" class="grow"></span>
    <button class="plain" id="render-shot" title="Carry hints and render what changed (Ctrl+Enter)">
      Render shot</button>
    <button class="flat" id="render-film">All</button>
  </div>
  <div class="jobs" id="jobs" aria-live="polite"></div>
</section>
"""


def build() -> Panel:
    """The panel."""
    return panel("render", TEMPLATE)
