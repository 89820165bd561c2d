"""A panel of the studio: one `gr.HTML` whose behaviour is an ES module of `static/`.

The template is set once and never depends on a prop, so Gradio never draws it again and what the module
built inside it stays. All panels of a page share one store (`static/store.js`), because a browser loads a
module once.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

STATIC = "/v1/static"


def load_script(module: str) -> str:
    """The `js_on_load` of a panel: load its module and let it take the element over."""
    return (
        f"const root = (window.gradio_config?.root || '').replace(/\\/$/, '');"
        f"import(root + '{STATIC}/{module}.js').then((m) => m.mount(element));"
    )


class Panel(gr.HTML):
    """A piece of the page.

    Gradio builds a component again from its props by name, so each is named here.
    """

    def __init__(
        self,
        value: Any = None,
        html_template: str = "",
        js_on_load: str | None = None,
        elem_id: str | None = None,
        elem_classes: list[str] | str | None = None,
        apply_default_css: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            value,
            html_template=html_template,
            js_on_load=js_on_load,
            elem_id=elem_id,
            elem_classes=elem_classes,
            apply_default_css=apply_default_css,
            **kwargs,
        )


def panel(name: str, template: str, module: str | None = None) -> Panel:
    """A panel called ``name``, driven by ``static/<module>.js`` (its own name unless told otherwise)."""
    return Panel(
        html_template=template,
        js_on_load=load_script(module or name),
        elem_id=f"panel-{name}",
        elem_classes=["panel"],
    )
