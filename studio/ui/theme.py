"""The look: neutral greys, because the eye judges colour against what surrounds it.

Gradio's own variables are set so that nothing of its light theme flashes before our stylesheet is there;
the stylesheet itself is `static/studio.css`.
"""

from __future__ import annotations

import gradio as gr

GREY = gr.themes.Color(
    c50="#f2f2f2",
    c100="#dedede",
    c200="#c4c4c4",
    c300="#a6a6a6",
    c400="#8a8a8a",
    c500="#6e6e6e",
    c600="#4c4c4c",
    c700="#363636",
    c800="#282828",
    c900="#1f1f1f",
    c950="#181818",
    name="studio-grey",
)


def make_theme() -> gr.themes.Base:
    """Neutral greys and the machine's own fonts: nothing is fetched from elsewhere."""
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.amber,
        secondary_hue=GREY,
        neutral_hue=GREY,
        font=["Inter", "system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    background = "#1f1f1f"
    return theme.set(
        body_background_fill=background,
        body_background_fill_dark=background,
        background_fill_primary=background,
        background_fill_primary_dark=background,
        block_background_fill=background,
        block_background_fill_dark=background,
        body_text_color="#cfcfcf",
        body_text_color_dark="#cfcfcf",
    )
