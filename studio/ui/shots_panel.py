"""Time: transport, timeline with the keyframes of hints, strip of shots."""

from __future__ import annotations

from studio.ui.panel import Panel, panel

TEMPLATE = """
<div class="time">
  <div class="transport">
    <button class="flat icon" id="first" title="First frame (Home)" aria-label="First frame"></button>
    <button class="flat icon" id="key-before" title="Keyframe before ([)"
      aria-label="Keyframe before"></button>
    <button class="flat icon" id="back" title="Frame back (Left)" aria-label="Frame back"></button>
    <button class="flat icon" id="play" title="Play (Space, J K L)" aria-label="Play"></button>
    <button class="flat icon" id="forward" title="Frame on (Right)" aria-label="Frame on"></button>
    <button class="flat icon" id="key-after" title="Keyframe after (])" aria-label="Keyframe after"></button>
    <button class="flat icon" id="last" title="Last frame (End)" aria-label="Last frame"></button>
    <button class="flat icon" id="need-next" title="Next place in need of a hint (Q)"
      aria-label="Next place in need of a hint"></button>
    <button class="flat icon" id="loop" title="Loop the shot (O)" aria-label="Loop the shot"></button>
    <label class="frame">Frame <input id="frame" inputmode="numeric" autocomplete="off"
      aria-label="Frame number"><span id="of"></span></label>
    <span class="timecode" id="timecode"></span>
    <span class="grow"></span>
    <span class="muted" id="shot-facts"></span>
    <button class="flat" id="need" title="Work out where hints are needed, while nothing else is being done">
      Need</button>
    <button class="flat" id="cut" title="Begin a shot at this frame, or join it to the one before (C)">
      Cut here</button>
    <button class="flat" id="span" title="Timeline: the shot or the whole film (Z)">Zoom to shot</button>
  </div>
  <canvas id="timeline" aria-label="Timeline"></canvas>
  <div class="strip" id="strip" role="listbox" aria-label="Shots"></div>
</div>
"""


def build() -> Panel:
    """The panel."""
    return panel("shots", TEMPLATE)
