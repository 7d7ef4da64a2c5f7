"""The interface: the only code, besides the pages, that knows Streamlit."""
