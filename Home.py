"""Home: what CodeCoach is, and the state of its parts. Also the file that `streamlit run` is given.

Streamlit reads it twice, under two names: as module `Home` it finds the ASGI application here, as `__main__` it runs the
page. Both live in one file because Streamlit looks for `pages/` beside the script (docs/decisions/0003-sign-in.md).
"""

import streamlit as st

from codecoach.ui import app as application
from codecoach.ui import home

if __name__ == "__main__":
    home.draw()
else:
    app = st.App(
        __file__,
        secrets=application.secrets(),
        routes=application.ROUTES,
        middleware=application.MIDDLEWARE,
        lifespan=application.lifespan,
        on_script_error=application.show_script_error,
    )
