"""Share of voice: mentions of each brand out of all brands', over the same networks and period."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from earshot.mention import Mention

if TYPE_CHECKING:
    import pandas as pd


def share_of_voice(mentions: Iterable[Mention], *, brands: Iterable[str]) -> pd.DataFrame:
    """Columns brand, network, mentions, share (0..1 of that network's mentions of these brands); every pair has its row, 0 included.

    A mention counts for its `company`, whatever its case; mentions of no brand in `brands` are left out.
    """
    import pandas as pd

    names = {brand.casefold(): brand for brand in brands}
    heard = [(names[key], m.network) for m in mentions if (key := (m.company or "").casefold()) in names]
    counts = pd.DataFrame(heard, columns=["brand", "network"]).value_counts().unstack("network", fill_value=0)
    counts = counts.reindex(list(names.values()), fill_value=0).rename_axis("brand")
    table = counts.melt(ignore_index=False, var_name="network", value_name="mentions").reset_index()
    table["share"] = table["mentions"] / table.groupby("network")["mentions"].transform("sum")
    return table
