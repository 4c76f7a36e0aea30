"""What a page says of rows that came from elsewhere: who made them, and what only they can know."""

from __future__ import annotations

from camzoo.report.escaping import escape
from camzoo.report.facts import listed
from camzoo.submissions.records import Submission


def submitted(one: Submission) -> str:
    """Render what is to be known of a submission, as markdown."""
    bundle, scored = one.scored["bundle"], one.scored
    about = bundle["about"]
    lines = {
        "author": about["author"],
        "seen by its network, as the author says": about["seen"],
        "learnt from": bundle["supervision"],
        "licence": about["licence"],
        "cite": about["citation"],
        "scored": (
            f"{bundle['kind']} of folds {listed(list(bundle['folds']))}, split of {bundle['run']}, "
            f"by camzoo {scored['camzoo']} from the bundle {scored['digest'][:12]}…"
        ),
    }
    text = "\n".join(f"- {name}: {escape(value)}" for name, value in lines.items())
    return f"### {escape(bundle['method'])}\n\n{text}\n"
