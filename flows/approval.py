"""A person's word on a promotion: the run waits in the UI, with the measurements and a form.

    decision = ask(decision, registry, hours=12)

*Resume* on the run's page opens the form. It is a pause and not a suspension, so that the waiting process keeps the
run's lease and can record that nobody answered in time.
"""

from uuid import UUID, uuid4

from prefect import get_run_logger, pause_flow_run, runtime
from prefect.client.orchestration import get_client
from prefect.exceptions import FlowPauseTimeout
from prefect.input import RunInput
from prefect.states import Running
from pydantic import Field

from hemline.errors import ChampionChangedError
from hemline.records.run import Decision
from hemline.registry.champion import Registry
from hemline.report.markdown import decision_markdown
from tasks.live import show_state
from tasks.production import show_production
from tasks.promote import show, this_run


class Approval(RunInput):
    """The form."""

    promote: bool = Field(False, description="whether the new version becomes the champion")
    comment: str = Field("", description="why; it is written into the ledger")


def ask(decision: Decision, registry: Registry, hours: float) -> Decision:
    """The decision after the answer. No answer in time keeps the champion."""
    get_run_logger().info("waiting up to %g hours for an approval: Resume on this run's page", hours)
    show_state(Running(name="Needs approval", message=decision.sentence))  # of which a person is told
    show_production(registry.artifacts, registry.name)
    form = Approval.with_initial_data(description=decision_markdown(decision))
    try:
        # A key of its own: a run that is retried would be given the answer to its earlier question.
        answer = pause_flow_run(wait_for_input=form, timeout=round(3600 * hours), poll_interval=2, key=uuid4().hex)
    except FlowPauseTimeout:
        answer = Approval(comment=f"nobody answered within {hours:g} hours")
        with get_client(sync_client=True) as client:  # the server still has it paused, and would call it failed
            client.set_flow_run_state(UUID(str(runtime.flow_run.id)), Running(), force=True)
    verdict, outcome = "kept", f"kept {registry.name} {decision.champion or 'without a champion'}: not approved"
    if answer.promote:
        verdict, outcome = "promoted", f"promoted {registry.name} {decision.challenger}: approved"
    sentence = f"{outcome} ({answer.comment.strip() or 'no comment'}); {decision.sentence}"
    answered = decision.model_copy(update={"verdict": verdict, "sentence": sentence})
    try:
        registry.record(answered, this_run())
    except ChampionChangedError as error:
        # The answer was to another question: the comparison was with a version that is no longer the champion.
        answered = decision.model_copy(update={"verdict": "kept", "champion": registry.champion()})
        answered.sentence = (
            f"kept {registry.name} {answered.champion}: another champion was made during the approval ({error})"
        )
        registry.record(answered, this_run())
    show(answered)
    show_production(registry.artifacts, registry.name)
    return answered
