"""The page: where the panels stand. What they do is theirs; how they look is `static/studio.css`."""

from __future__ import annotations

import gradio as gr

from studio.ui import (
    deliver_panel,
    hints_panel,
    project_panel,
    recipe_panel,
    render_panel,
    shots_panel,
    top_bar,
    viewer,
)

TITLE = "Pochoir"


def build_page() -> gr.Blocks:
    """All panels in one grid; no Gradio events, so nothing waits in its queue."""
    page = gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True)
    with page:
        with gr.Column(elem_id="studio"):
            top_bar.build()
            viewer.build()
            shots_panel.build()
            with gr.Column(elem_id="side"):
                hints_panel.build()
                recipe_panel.build()
                deliver_panel.build()
                render_panel.build()
        project_panel.build()
    return page
