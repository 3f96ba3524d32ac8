"""What becomes of a target that dies or does not recover: who is to blame, and a new start."""

import signal

from conformance.core import timeouts
from conformance.core.errors import BrokenTestbed, NoEvidence, Violation
from conformance.core.evidence import Exchange
from conformance.core.polling import block_until
from conformance.session.environment import Environment
from conformance.session.testimony import Testimony
from conformance.target.server import Health, NotReady, Target, try_ports
from conformance.testbed.process_output import take_last_lines

READINESS = "LIFE-10"
OUTLIVING_FAULTS = "END-5"
RESTARTS = 12  # after deaths of its own; each costs a second
RESTARTS_OF_HARMED = 8  # after an endpoint broke


class Recovery:
    """Keeps a target that can be probed, and knows why where there is none."""

    def __init__(self, environment: Environment) -> None:
        self._launch = environment.launch
        self._journal = environment.launch.journal
        self._client = environment.client
        self.target = environment.target
        self.urls = {environment.target.url}  # all that it has had
        self.lives = [environment.target]  # the target as it was started, and each time again
        self._is_over = False  # nothing is started any more
        self.deaths: list[Violation] = []
        self.failure: Violation | BrokenTestbed | None = None  # why no probe can run
        self.harmed = 0  # how often it was started again because an endpoint broke
        self._healthy: Health | None = None  # how the target was before a fault was injected

    def check_usable(self, requirement: str) -> None:
        """Raise why no probe can run, as far as that is this requirement's to judge."""
        raise_failure(self.failure, requirement)

    def blame(self, requirement: str, violation: Violation) -> Violation | NoEvidence:
        """What a violation comes to: nothing, where the target died under a probe of another."""
        facts = (fact for fact in violation.evidence if isinstance(fact, Exchange))
        silent = [exchange for exchange in facts if exchange.is_broken_off]
        is_about_that = requirement in (READINESS, OUTLIVING_FAULTS)
        if not silent or is_about_that or not self._launch.capabilities.stops_target:
            return violation
        if self._wait_for_end() is None:
            return violation
        died = f"the target died while it was looked at ({READINESS})"
        return NoEvidence(f"{died}: {silent[0].summary}")

    def revive(self, requirement: str) -> None:
        """Start the target again where it has died by itself, so that the rest can be judged."""
        if self._is_over:
            return
        may_end = self._client.has_lost_connection or self.target.is_ending
        if self._launch.capabilities.stops_target and may_end:
            self._wait_for_end()
        if self.target.is_alive:
            return
        death = self._note_death()
        if len(self.deaths) > RESTARTS:
            self.failure = death
            often = f"the target died {len(self.deaths)} times and is not started again"
            raise death if requirement == READINESS else NoEvidence(often)
        if failure := self.restart():
            again = f"the target died and does not start again: {failure.got}"
            raise failure if requirement == READINESS else NoEvidence(again)

    def _wait_for_end(self) -> int | None:
        """Wait for the end of a target that has lost a connection; its exit status, or None."""
        self._client.has_lost_connection = False
        return self.target.process.wait_for_end(timeouts.DEATH_DEADLINE)

    def _note_death(self) -> Violation:
        process = self.target.process
        lines = take_last_lines(process.read_output(), 4)
        text = f"the process ended by itself with status {process.status}"
        event = self._journal.observe("death", text)
        wanted = "the process to go on answering until it is asked to stop"
        self.deaths.append(Violation(wanted, event.text, (event, *lines)))
        return self.deaths[-1]

    def note_health(self) -> None:
        """Look at the target before a fault is injected."""
        if self._launch.capabilities.stops_target:
            self._healthy = self.target.check_health()

    def expect_healed(self) -> None:
        """After a fault, see that the target is as it was; start it again where it is not."""
        before, self._healthy = self._healthy, None
        if before is None or not self.target.is_alive:
            return

        def is_settled(now: Health) -> bool:
            return now == before or now.is_unresponsive

        now = block_until(self.target.check_health, timeouts.HEAL_DEADLINE, is_settled)
        if now != before:
            changed = f"({before.summary}; now {now.summary})"
            text = f"the service did not become as it was {changed}, and is started again"
            self._journal.observe("mend", text)
            self.kill_and_restart()

    def expect_unharmed(self, testimony: Testimony) -> None:
        """Where something went wrong, see that each endpoint answers that has worked before.

        A target whose endpoints are broken for good is started again, so that what comes next is
        judged on its own.
        """
        in_doubt, testimony.is_in_doubt = testimony.is_in_doubt, False
        may_start = self._launch.capabilities.stops_target and self.harmed < RESTARTS_OF_HARMED
        if not (in_doubt and may_start and self.target.is_alive):
            return

        def find_broken() -> dict[str, int | None]:
            answers = self.target.ask_endpoints(testimony.worked)
            return {name: each for name, each in answers.items() if not is_well(each)}

        broken = block_until(find_broken, timeouts.UNHARMED_DEADLINE, lambda seen: not seen)
        if broken:
            self.harmed += 1
            answers = ", ".join(f"{name} {status or 'nothing'}" for name, status in broken.items())
            text = f"what worked before does not any more ({answers}), and is started again"
            self._journal.observe("mend", text)
            self.kill_and_restart()

    def kill_and_restart(self) -> None:
        """Kill the target and start it again, for what must be looked at on a fresh one."""
        self.end_and_restart(signal.SIGKILL)

    def end_and_restart(self, number: signal.Signals) -> NotReady | None:
        """End the target by a signal, or else by SIGKILL, and start it again.

        Returns why it does not become ready, or None.
        """
        if number is not signal.SIGKILL:
            self.target.process.send(number)
            self.target.process.wait_for_end(timeouts.STOP_DEADLINE)
        self.target.kill()
        return self.restart()

    def restart(self) -> NotReady | None:
        """Start the target again; why it does not become ready, which ends all probing, or None."""
        try:
            try_ports(self._start_target)
        except NotReady as failure:
            self.failure = failure
            return failure
        return None

    def _start_target(self) -> None:
        is_ours = self._launch.capabilities.starts_target
        start = Target.start_copy if is_ours else Target.restart_external
        self.target = start(self._launch)
        self.urls.add(self.target.url)
        self.lives.append(self.target)
        self._client.switch_to(self.target.url)
        self.target.wait_until_ready()

    def stop_reviving(self) -> None:
        """Let the target be ended: it is not started again for what follows."""
        self._is_over = True

    def leave_running(self) -> None:
        """See that a target that somebody else has started runs on after the suite."""
        may_start = self._launch.capabilities.stops_target
        if may_start and not self._launch.capabilities.starts_target and not self.target.is_alive:
            Target.restart_external(self._launch)


def is_well(status: int | None) -> bool:
    """Whether an endpoint that has worked before works still, as far as a status shows."""
    return status is not None and status < 500


def raise_failure(failure: Violation | BrokenTestbed | None, requirement: str) -> None:
    """Raise why no probe can run, if there is a reason.

    That the target is not ready is a violation of one requirement. It leaves the others open.
    """
    if isinstance(failure, Violation) and requirement != READINESS:
        got = f"the service does not run ({READINESS}): {failure.got}"
        raise NoEvidence(got)
    if failure:
        raise failure
