"""Gives matplotlib, when a program imports it, the font list that was made when this runtime was built."""

import os
import sys


class _FontList:
    """Sees `import matplotlib` first, does its work once and lets the import go on."""

    def find_spec(self, name, path=None, target=None):
        if name == "matplotlib":
            from glob import glob  # here, because what it brings takes longer to load than a small program to run

            sys.meta_path.remove(self)
            folder = os.environ.get("MPLCONFIGDIR", "")
            try:
                os.makedirs(folder, exist_ok=True)
                for file in glob(os.path.join(sys.prefix, "share", "matplotlib", "fontlist-*.json")):
                    os.symlink(file, os.path.join(folder, os.path.basename(file)))
            except OSError:
                pass  # matplotlib then makes its own list
        return None


sys.meta_path.insert(0, _FontList())
