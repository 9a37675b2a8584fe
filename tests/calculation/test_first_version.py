"""What the first version of the policies gave before there was a second one.

This is a record and judges nothing: the figures are those of the commit before the second version's
first part, and say only that nothing moved them. A change that is meant to move them replaces them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import crossmargin as xm

ACCOUNTS = 300
FIRST = "cme-ficc-2026-04-30"
RECORDED = {
    FIRST: {
        "accounts": "9e3fbbe36ba09d8f6480f28bb5364e94fceda7df0a671dc75f8e30992a19e6cc",
        "components": "94f739656a8269d11e9f3dbfac87858810a748bcb5964018b95923bae73f47fe",
        "positions": "e85899b648d4fb00a35ee63bc21bc1fecde5cdea33971b47ca01463bffe96fbc",
        "exceptions": "cab7afe94982934ee148fe0d5ac4ef765a4da8f52807821ee9ef8f7f39aae537",
    },
    f"{FIRST}-span": {
        "accounts": "9578eb433e8b8448daa76f153c6ebc124b33384ae4c9667def78e380578d8451",
        "components": "15f8dac6e1a19e814cbee2d1f31acd6debf1cad91b01b68e4ffb6e3a46d85eb5",
        "positions": "e85899b648d4fb00a35ee63bc21bc1fecde5cdea33971b47ca01463bffe96fbc",
        "exceptions": "cab7afe94982934ee148fe0d5ac4ef765a4da8f52807821ee9ef8f7f39aae537",
    },
    f"{FIRST}-charges": {
        "accounts": "32fe0d86a86d87be6f4e5f0e94bc93ef65523bfb71b11581dc8432a57c397ff8",
        "components": "bc4c9d7777ec3098c60e0e41ed60a2cd4018228f38e15ef4a225af3e054dd858",
        "positions": "e85899b648d4fb00a35ee63bc21bc1fecde5cdea33971b47ca01463bffe96fbc",
        "exceptions": "175401ca6dd3cbb1b603ec6211151ef12a35512669f8a27187e555d0a3554c34",
    },
}
"""Content hashes of tables at commit 733d449, for the sample's book of `ACCOUNTS` accounts.

Those of exceptions are of a later wording: messages write quantities out.
"""


@pytest.mark.parametrize("policy", list(RECORDED))
def test_the_first_version_gives_what_is_recorded(
    sample_book: Callable[[int], dict[str, Any]], policy: str
) -> None:
    run = xm.run(**sample_book(ACCOUNTS), market=xm.sample_market(), policy=policy)
    found = {name: run.manifest["results"][name]["hash"] for name in RECORDED[policy]}
    assert found == RECORDED[policy]
