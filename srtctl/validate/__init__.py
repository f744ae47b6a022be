"""Everything that can be known to be wrong before anything starts.

`build_job` turns a plain config into a typed job or says why it can't; `check` runs every rule over the job and
`with_sources` adds where each value was written. Nothing here asks the machine: what the caller saw is `SiteFacts`.
"""

from __future__ import annotations

from srtctl.validate.check import check, check_config, not_following, paths_of, with_sources
from srtctl.validate.context import SiteFacts
from srtctl.validate.types import build_job

__all__ = ["SiteFacts", "build_job", "check", "check_config", "not_following", "paths_of", "with_sources"]
