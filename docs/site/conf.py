"""Sphinx's settings. Nothing on a page may come from elsewhere."""

from offhook import __version__

project = "offhook"
release = __version__
extensions = ["myst_parser"]
html_theme = "furo"
html_title = f"offhook {__version__}"
html_static_path = ["static"]
html_css_files = ["extra.css"]
html_copy_source = False
html_show_sphinx = False
html_use_index = False
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
pygments_style = "default"
pygments_dark_style = "github-dark"
