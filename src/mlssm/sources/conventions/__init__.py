"""How producers name backscatter images: a file each. A new producer is a table, and its line here."""

from mlssm.sources.conventions.convention import Convention, Named
from mlssm.sources.conventions.earth_engine import EARTH_ENGINE
from mlssm.sources.conventions.hyp3 import HYP3
from mlssm.sources.conventions.opera import OPERA
from mlssm.sources.conventions.plain import PLAIN
from mlssm.sources.conventions.planetary_computer import PLANETARY_COMPUTER
from mlssm.sources.conventions.pyrosar import PYROSAR
from mlssm.sources.conventions.safe import SAFE
from mlssm.sources.conventions.snap import SNAP

# the first that knows a name reads it: SNAP's names begin with those of others
CONVENTIONS = (OPERA, HYP3, PLANETARY_COMPUTER, EARTH_ENGINE, SNAP, SAFE, PYROSAR, PLAIN)

__all__ = ["CONVENTIONS", "Convention", "Named"]
