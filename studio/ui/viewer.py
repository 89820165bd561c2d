"""The viewer: the picture, the tools that touch it, and the comparison of before and after.

Two canvases lie over each other: on the lower one nothing but the picture is drawn, so that what is read
from it is the picture; the upper one carries hints, mattes in the making and the wipe's divider.
"""

from __future__ import annotations

from studio.ui.panel import Panel, panel

TOOLS = (
    ("select", "V", "Select and move hints"),
    ("point", "P", "Point: click to say what colour this is"),
    ("region", "R", "Region: click it; Shift or right click takes away; Enter accepts"),
    ("scribble", "S", "Scribble: draw over what has the colour"),
    ("neutral", "N", "Neutral: click what shall stay grey"),
    ("lock", "X", "Lock: click what is approved and shall stay as it is"),
    ("pick", "E", "Eyedropper: take a colour from the picture"),
)


def _rail() -> str:
    return "".join(
        f'<button class="tool" data-tool="{name}" aria-label="{text}" title="{text} ({key})"><kbd>{key}</kbd></button>'
        for name, key, text in TOOLS
    )


TEMPLATE = f"""
<div class="viewer">
  <nav class="rail" aria-label="Tools">{_rail()}</nav>
  <div class="view-bar">
    <div class="segments" id="view-mode" role="group" aria-label="Compare">
      <button data-mode="before" title="Before (hold B)">Before</button>
      <button data-mode="wipe" title="Wipe: drag the divider (W)">Wipe</button>
      <button data-mode="after" title="After (A)">After</button>
    </div>
    <select id="before-kind" title="What Before shows" aria-label="What Before shows">
      <option value="source">source</option>
      <option value="restored">repaired</option>
    </select>
    <button class="flat" id="matte" title="What repair takes for damage (M)">Matte</button>
    <button class="flat" id="heat" title="Doubt: where a hint is needed (D)">Doubt</button>
    <button class="flat" id="marks" title="Hints on the picture (H)">Hints</button>
    <span class="grow"></span>
    <span class="shown" id="shown" role="status"></span>
    <button class="flat" id="fit" title="Fit (F)">Fit</button>
    <button class="flat" id="actual" title="One pixel to one (1)">1:1</button>
    <span class="zoom" id="zoom"></span>
  </div>
  <div class="stage" id="stage" tabindex="0" aria-label="Picture">
    <canvas id="picture"></canvas>
    <canvas id="overlay"></canvas>
    <div class="making" id="making" hidden></div>
  </div>
</div>
"""


def build() -> Panel:
    """The panel."""
    return panel("viewer", TEMPLATE)
