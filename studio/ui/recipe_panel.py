"""The recipe: which stages the film walks through, drawn from what each stage declares."""

from __future__ import annotations

from studio.ui.panel import Panel, panel

TEMPLATE = """
<div class="tab" data-tab="recipe" hidden>
  <section>
    <div class="row"><label class="grow">Recipe <select id="recipe-name"></select></label></div>
    <p class="muted small">Frames walk through these from top to bottom. A change renders again only
      what it touches.</p>
  </section>
  <div class="stages" id="stages"></div>
</div>
"""


def build() -> Panel:
    """The panel."""
    return panel("recipe", TEMPLATE)
