"""Settings: the model, one's account, and for administrators everybody's."""

from codecoach.ui import page

account = page.open_page("nav.settings")
