"""Editor: change a program, run it, have it fixed or explained."""

from codecoach.ui import page

account = page.open_page("nav.editor", layout="wide")
