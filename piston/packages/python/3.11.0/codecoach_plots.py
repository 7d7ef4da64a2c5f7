"""A matplotlib backend without a screen: `plt.show()` saves every open figure as plot-1.png, plot-2.png..."""

from itertools import count

from matplotlib import pyplot
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

_numbers = count(1)


class FigureManager(FigureManagerBase):
    @classmethod
    def pyplot_show(cls, *, block=None):
        for number in pyplot.get_fignums():
            pyplot.figure(number).savefig(f"plot-{next(_numbers)}.png")
        pyplot.close("all")


class FigureCanvas(FigureCanvasAgg):
    manager_class = FigureManager
