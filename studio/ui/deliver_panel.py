"""Deliver: the finished film into a file, hints in and out, and the check of colours asked against shown."""

from __future__ import annotations

from studio.ui.panel import Panel, panel

TEMPLATE = """
<div class="tab" data-tab="deliver" hidden>
  <section>
    <h3>Film</h3>
    <div class="segments wide" id="format" role="group" aria-label="Format">
      <button data-value="mp4" title="H.264, for looking at">H.264</button>
      <button data-value="mkv" title="FFV1, lossless, for the archive">FFV1</button>
      <button data-value="mov" title="ProRes, for the edit">ProRes</button>
      <button data-value="png" title="PNG frames, lossless, numbered from 0">PNG</button>
    </div>
    <label>To <input id="out" autocomplete="off" spellcheck="false"></label>
    <div class="row end"><button class="plain" id="deliver">Deliver film</button></div>
  </section>
  <section>
    <h3>Hints file</h3>
    <label>Path <input id="hints-path" autocomplete="off" spellcheck="false" list="paths"
      placeholder="hints.json"></label>
    <div class="row end">
      <button class="flat" id="import">Import</button><button class="flat" id="export">Export</button>
    </div>
  </section>
  <section>
    <h3>Colours asked and shown <button class="flat small" id="check">Check</button></h3>
    <div class="check" id="checked"><p class="muted small">Measures ΔE2000 between each hint's colour and
      the picture. The promise: median at most 1, none above 3.</p></div>
  </section>
</div>
"""


def build() -> Panel:
    """The panel."""
    return panel("deliver", TEMPLATE)
