from hven_colours import gaia_colours

from hven.testing import AnalysisSuite


class TestGaiaColours(AnalysisSuite):
    analysis = gaia_colours
