"""The project picker: make a project from a film, or open one."""

from __future__ import annotations

from studio.ui.panel import Panel, panel
from studio.ui.view import RECIPES

_OPTIONS = "".join(f"<option>{name}</option>" for name in RECIPES)
TEMPLATE = f"""
<div class="picker-page" id="picker" hidden>
  <div class="picker-box">
    <h1>Pochoir</h1>
    <p class="muted">Old films restored and coloured, with a person in the loop.</p>
    <div class="picker-columns">
      <section>
        <h2>New project</h2>
        <form id="create">
          <label>Film <input name="source" list="paths" autocomplete="off" spellcheck="false" required
            placeholder="video file, folder of frames, or frame_%06d.png"></label>
          <label>Frames per second <input name="rate" autocomplete="off" inputmode="decimal"
            placeholder="only for frames without a rate, e.g. 16 or 18"></label>
          <label>Project folder <input name="folder" list="paths" autocomplete="off" spellcheck="false"
            placeholder="beside the film"></label>
          <label>Recipe <select name="recipe">{_OPTIONS}</select></label>
          <div class="row end"><button class="plain">Make project</button></div>
        </form>
      </section>
      <section>
        <h2>Open</h2>
        <div class="recents" id="recents"></div>
        <form id="open">
          <label>Project folder <input name="path" list="paths" autocomplete="off" spellcheck="false"
            required placeholder="…/name.pochoir"></label>
          <div class="row end">
            <button type="button" class="flat" id="picker-close" hidden>Back</button>
            <button class="plain">Open</button>
          </div>
        </form>
      </section>
    </div>
    <div class="opening" id="opening" hidden></div>
    <p class="fault" id="picker-fault" role="alert"></p>
  </div>
</div>
<datalist id="paths"></datalist>
"""


def build() -> Panel:
    """The panel."""
    return panel("project", TEMPLATE)
