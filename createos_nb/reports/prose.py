"""Prose: the sentences of an incident report, in Markdown, written from the evidence."""

from __future__ import annotations

from datetime import timedelta

from createos_nb.markup import markdown
from createos_nb.reports.evidence import Evidence, rows
from createos_nb.reports.impact import Impact, impact
from createos_nb.reports.timeline import ENDS


def summary(evidence: Evidence) -> str:
    """Return the incident in a few sentences: impact, what came before it, what was done, how it is now."""
    hurt = impact(evidence)
    before = [_impact(evidence, hurt), _trigger(evidence, hurt)]
    after = [*_actions(evidence), _now(evidence, hurt)]
    paragraphs = (" ".join(filter(None, sentences)) for sentences in (before, after))
    return "\n\n".join(filter(None, paragraphs))


def _impact(evidence: Evidence, hurt: Impact) -> str:
    name = markdown(evidence.name)
    if hurt.requests is None:
        return f"The platform gave no traffic figures for {name}; see the gaps at the end."
    if not hurt.requests:
        return f"No request reached {name} in this window, so there is no impact to measure."
    if not hurt.errors or hurt.error_rate is None:
        return f"None of the {hurt.requests:,} requests to {name} in this window failed."
    share = f"**{hurt.errors:,} of {hurt.requests:,} requests ({hurt.error_rate:.1%})** to {name} failed"
    if hurt.began_at is None or hurt.ended_at is None:
        return f"{share} with a 5xx error."
    began, ended = evidence.clock(hurt.began_at), evidence.clock(hurt.ended_at)
    return f"{share} with a 5xx error, between {began} and {ended} UTC."


def _trigger(evidence: Evidence, hurt: Impact) -> str:
    if hurt.began_at is None:
        return ""
    until = hurt.began_at
    if not hurt.exact:
        # Known to the interval only, so a deployment within that interval may well be before the first error.
        until += timedelta(seconds=rows(evidence.over_time)[0]["interval_s"])
    earlier = [row for row in rows(evidence.deployments) if row["created_at"] < until]
    if not earlier:
        return ""
    latest = max(earlier, key=lambda row: row["created_at"])
    return (
        f"The last deployment before the errors was {markdown(latest['version'])}, "
        f"created at {evidence.clock(latest['created_at'])}. That it came first does not prove it the cause."
    )


def _actions(evidence: Evidence) -> list[str]:
    return [
        f"At {evidence.clock(row['at'])} the {markdown(row['kind'])} by {markdown(row['user'])} "
        f"ended **{row['state']}**: {markdown(_sentence(row['detail'] or ''))}"
        for row in rows(evidence.journal)
        if row["state"] in ENDS
    ]


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _now(evidence: Evidence, hurt: Impact) -> str:
    sentences = []
    for now in rows(evidence.live):
        deployment = now["deployment_id"]
        sentences.append(f"{markdown(evidence.version(deployment)) if deployment else 'Nothing'} is live now")
    if hurt.errors:
        sentences.append(
            f"none of the {hurt.requests_after:,} requests since {evidence.clock(hurt.good_since)} failed"
            if hurt.is_over and hurt.good_since
            else "the last requests that were seen include failures"
        )
    return f"{'; '.join(sentences)}." if sentences else ""


def changes(evidence: Evidence) -> str:
    """Return what the table of changes below it shows, or that there is none."""
    if evidence.journal.empty:
        return f"No change of {markdown(evidence.name)} was made with this package in the window."
    runs = evidence.journal["run"].nunique()
    count = "One change" if runs == 1 else f"{runs} changes"
    return f"{count} of {markdown(evidence.name)} in the window, each call with its outcome."


def gaps(evidence: Evidence) -> str:
    """Return what is missing from the report, and how its figures are to be read, as a list."""
    missing = [f"- **Missing: {markdown(gap.source)}.** {markdown(gap.reason)}" for gap in evidence.gaps]
    if evidence.over_time["partial"].any():
        missing.append("- The first or the last interval of the charts is only partly inside the window.")
    return "\n".join([*missing, *(f"- {line}" for line in _READING)])


_READING = (
    "A failed request is one answered with a 5xx status. 4xx are the caller's errors and are not counted.",
    "Counts are the platform's. Times of errors are from the application's log where it names statuses, "
    "otherwise right to the interval of the platform's figures.",
    "A deployment's marker is the time it was created; it took traffic a little later, when it was built.",
    "CreateOS keeps no serving history and no audit log: the changes listed are those made with this package "
    "on this machine.",
)


def follow_ups(evidence: Evidence) -> str:
    """Return what the evidence says is left to do, as a list to go on with."""
    known = [f"Find out what is missing here: {markdown(gap.source)}." for gap in evidence.gaps]
    if any(not now["auto_promote"] for now in rows(evidence.live)):
        known.insert(
            0, f"Turn automatic promotion of {markdown(evidence.name)} on again once a good version is live."
        )
    known.append("*owner, date: what will be done so that it cannot return*")
    return "  \n".join(f"☐ {line}" for line in known)
