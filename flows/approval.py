"""A person's word on a promotion: the run waits in the UI, with the evidence and a form.

    decision = ask(decision, registry, hours=12)

Who opens the run's page sees it paused; *Resume* shows the evidence, a switch and a comment. A pause and not a
suspension: the waiting process keeps the run's lease, and writes down that nobody answered in time.
"""

from uuid import UUID, uuid4

from prefect import get_run_logger, pause_flow_run, runtime
from prefect.client.orchestration import get_client
from prefect.exceptions import FlowPauseTimeout
from prefect.input import RunInput
from prefect.states import Running
from pydantic import Field

from hemline.errors import ChampionChangedError
from hemline.records.decision import Decision
from hemline.registry.registry import Registry
from hemline.report.markdown import decision_markdown
from tasks.promote import show, this_run


class Approval(RunInput):
    """The form."""

    promote: bool = Field(False, description="whether the new version becomes the champion")
    comment: str = Field("", description="why; it is written into the ledger")


def ask(decision: Decision, registry: Registry, hours: float) -> Decision:
    """The decision after the answer. No answer in time keeps the champion."""
    get_run_logger().info("waiting up to %g hours for an approval: Resume on this run's page", hours)
    form = Approval.with_initial_data(description=decision_markdown(decision))
    try:
        # A key of its own: a run that is retried would be given the answer to its earlier question.
        answer = pause_flow_run(wait_for_input=form, timeout=round(3600 * hours), poll_interval=2, key=uuid4().hex)
    except FlowPauseTimeout:
        answer = Approval(comment=f"nobody answered within {hours:g} hours")
        with get_client(sync_client=True) as client:  # the server still has it paused, and would call it failed
            client.set_flow_run_state(UUID(str(runtime.flow_run.id)), Running(), force=True)
    answered = _answered(decision, answer, registry)
    show(answered)
    return answered


def _answered(decision: Decision, answer: Approval, registry: Registry) -> Decision:
    comment = answer.comment.strip() or "no comment"
    kept = f"kept {decision.champion or 'no champion'}: not approved"
    words = {True: f"promoted {decision.challenger}: approved", False: kept}
    sentence = f"{words[answer.promote]} ({comment}); {decision.sentence}"
    verdict = "promoted" if answer.promote else "kept"
    answered = decision.model_copy(update={"verdict": verdict, "sentence": sentence})
    try:
        registry.record(answered, this_run())
    except ChampionChangedError as error:
        # The answer was to another question: the comparison was with a champion that is none any more.
        answered = decision.model_copy(update={"verdict": "kept", "champion": registry.champion()})
        answered.sentence = f"kept {answered.champion}: another champion was made during the approval ({error})"
        registry.record(answered, this_run())
    return answered
