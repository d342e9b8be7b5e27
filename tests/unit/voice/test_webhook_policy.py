"""Where webhooks of test keys may go depends on who can have such a key: somebody here, or somebody far away."""

import pytest

from config.settings import Http, Settings
from messaging.guard import judge_url
from voice.compose import webhook_policy


@pytest.mark.parametrize(
    ("host", "sandbox", "allowed"),
    [
        *(("127.0.0.1", True, True), ("::1", True, True), ("localhost", True, True)),
        *(("0.0.0.0", True, False), ("10.0.0.5", True, False), ("tocsin.internal", True, False)),
        ("127.0.0.1", False, False),
    ],
)
def test_only_who_is_on_this_machine_may_have_us_post_to_it(host: str, sandbox: bool, allowed: bool) -> None:
    policy = webhook_policy(Settings(http=Http(host=host)), sandbox=sandbox)

    assert (judge_url("http://127.0.0.1:6379/", policy) is None) is allowed
