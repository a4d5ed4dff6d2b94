"""What schemathesis watches beside its own checks: no answer to one tenant holds anything of another's.

It loads this file into its own process; what is the other tenant's comes as a file of JSON, named by an environment
variable.
"""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import schemathesis

# The variable that names the file: a list of strings.
FOREIGN = "FRONTRUNNER_CONTRACT_FOREIGN"


@functools.cache
def _foreign() -> tuple[str, ...]:
    return tuple(json.loads(Path(os.environ[FOREIGN]).read_text()))


def nothing_of_other_tenants(
    _context: schemathesis.CheckContext, response: schemathesis.Response, _case: schemathesis.Case
) -> None:
    """No answer names what is another tenant's, unless the question did; and such a question is refused."""
    body = response.request.body or b""
    asked = f"{response.request.url} {body if isinstance(body, str) else body.decode('utf-8', 'replace')}"
    told = response.content.decode("utf-8", "replace") + str(response.headers)
    for word in _foreign():
        assert word not in told or word in asked, f"another tenant's {word!r} is in the answer"
        by_path = word in (response.request.url or "").partition("?")[0]
        assert not (by_path and response.status_code < 400), f"another tenant's {word!r} is found"
        by_body = f'"dataset": "{word}"' in asked
        assert not (by_body and response.status_code < 400), f"another tenant's {word!r} is used"


if FOREIGN in os.environ:
    import schemathesis

    schemathesis.check(nothing_of_other_tenants)
