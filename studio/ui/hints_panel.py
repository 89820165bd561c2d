"""Hints: the colour and the region the next one speaks of, and the list of those there are."""

from __future__ import annotations

from studio.ui.panel import Panel, panel

TEMPLATE = """
<nav class="tabs" id="tabs" role="tablist">
  <button role="tab" data-tab="hints">Colour</button>
  <button role="tab" data-tab="recipe">Recipe</button>
  <button role="tab" data-tab="deliver">Deliver</button>
</nav>
<div class="tab" data-tab="hints">
  <section class="colour">
    <div class="picker">
      <canvas id="shade" width="256" height="128" tabindex="0"
        aria-label="Strength and lightness of the colour"></canvas>
      <canvas id="hue" width="256" height="12" tabindex="0" aria-label="Hue"></canvas>
    </div>
    <div class="row">
      <span class="swatch big" id="swatch"></span>
      <input id="hex" class="mono" maxlength="7" spellcheck="false" autocomplete="off"
        aria-label="Colour as hex">
      <button class="flat icon" id="pick" title="Take a colour from the picture (E)"
        aria-label="Take a colour from the picture"></button>
      <span class="muted small" id="colour-note"></span>
    </div>
    <div class="suggested" id="suggested" hidden>
      <span class="muted small">likely here</span>
      <div class="swatches" aria-label="Likely colours here"></div>
    </div>
    <div class="swatches" id="recent" aria-label="Recent colours"></div>
    <label class="strength small" id="strength" hidden
      title="How far the hint goes from the automatic colour to its own; nought takes it out without deleting it">
      <span class="muted">strength</span> <input type="range" min="0" max="100" step="5"> <output></output></label>
  </section>
  <section class="region">
    <h3>Region <button class="flat small" id="new-region">New</button></h3>
    <div class="regions" id="regions"></div>
    <div class="proposals" id="proposals" hidden>
      <button class="flat small" id="find-region" title="Look for this region in shots where nobody has marked it">
        Find in other shots</button>
      <span class="muted small" id="found" role="status"></span>
      <div class="found" id="found-list" role="listbox" aria-label="Places that look like the region"></div>
    </div>
    <form class="evidence" id="evidence" hidden>
      <label>Name <input name="name" autocomplete="off" required></label>
      <label>Source <input name="source" autocomplete="off"
        placeholder="photograph, dye book, museum number"></label>
      <div class="row">
        <div class="segments" id="certainty" role="group" aria-label="Certainty">
          <button type="button" data-value="documented">documented</button>
          <button type="button" data-value="inferred">inferred</button>
          <button type="button" data-value="invented">invented</button>
        </div>
      </div>
      <label>Author <input name="author" autocomplete="off"></label>
      <div class="row end">
        <button type="button" class="flat" id="evidence-close">Close</button>
        <button class="plain">Save</button>
      </div>
    </form>
  </section>
  <section class="list">
    <h3>Hints <span class="segments small" id="which" role="group" aria-label="Which hints">
      <button data-value="shot">this shot</button><button data-value="all">all</button></span></h3>
    <div class="hints" id="hints" role="listbox" aria-label="Hints"></div>
    <label class="still">Coloured still of this frame…
      <input id="still" type="file" accept="image/png,image/jpeg,image/tiff"></label>
  </section>
</div>
"""


def build() -> Panel:
    """The panel."""
    return panel("hints", TEMPLATE)
