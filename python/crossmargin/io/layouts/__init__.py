"""Known downloads and reports, recognised by their header and turned into our columns.

A layout takes a table as read and returns one with our columns and a note for the user, or None if
the header does not match. Rows that are not used become blank, so that later rows keep their
numbers.
"""

from __future__ import annotations

from dataclasses import replace

from crossmargin.io.layouts.fixings import fred_rates, new_york_fed
from crossmargin.io.layouts.par_yields import fred_yields, treasury_feed
from crossmargin.io.layouts.positions import from_positions_report
from crossmargin.io.layouts.securities import auction_results, public_debt
from crossmargin.io.layouts.settlements import quoted
from crossmargin.io.tables import Given

_LAYOUTS = {
    "fixings": (new_york_fed, fred_rates),
    "par yields": (fred_yields, treasury_feed),
    "securities": (auction_results, public_debt),
    "settlements": (quoted,),
}
"""The downloads that can be given for an input, by its name."""


def from_download(given: Given, name: str) -> Given:
    """Return an input in our columns if it is a known download, else unchanged.

    Parameters
    ----------
    given : Given
        The table as read.
    name : str
        Name of the input; some have no layouts.

    Returns
    -------
    Given
        With a note on what was read, if it was a known download.

    Raises
    ------
    InputError
        The download contradicts itself.
    """
    if name == "positions":
        return from_positions_report(given)
    for layout in _LAYOUTS.get(name, ()):
        read = layout(given.table)
        if read is not None:
            table, note = read
            return replace(given, table=table, notes=(*given.notes, note))
    return given
