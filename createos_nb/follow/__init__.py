"""Follow: the logs of environments as they are written, each line once, and a row where that is not sure."""

from __future__ import annotations

from createos_nb.follow.follower import Follower, follow

__all__ = ["Follower", "follow"]
