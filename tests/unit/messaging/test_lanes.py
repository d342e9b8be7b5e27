"""Fairness between endpoints."""

from messaging.lanes import FIRST_AT_ONCE, Job, Lanes


def job(number: int, endpoint: str = "a", order: str | None = None) -> Job:
    return Job(f"dlv_{number}", endpoint, order or f"call_{number}")


def take(lanes: Lanes) -> list[Job]:
    taken = []
    while one := lanes.next():
        taken.append(one)
    return taken


def test_a_lane_sends_few_at_a_time_until_it_shows_that_it_is_well():
    lanes = Lanes(most=100, most_per_endpoint=8)
    for number in range(30):
        assert lanes.offer(job(number), now=0) is None

    sending = take(lanes)
    assert len(sending) == FIRST_AT_ONCE
    for one in sending:
        lanes.finished(one, well=True, took_s=0.01, now=1)

    assert len(take(lanes)) == 8


def test_failures_bring_a_lane_down_to_one():
    lanes = Lanes(most=100, most_per_endpoint=8)
    for number in range(30):
        lanes.offer(job(number), now=0)

    for _ in range(4):
        for one in take(lanes):
            lanes.finished(one, well=False, took_s=1, now=1)

    assert len(take(lanes)) == 1


def test_endpoints_take_turns_when_all_places_are_taken():
    lanes = Lanes(most=4, most_per_endpoint=8)
    for number in range(10):
        lanes.offer(job(number, "a"), now=0)
    for number in range(10, 12):
        lanes.offer(job(number, "b"), now=0)

    assert [one.endpoint for one in take(lanes)] == ["a", "b", "a", "b"]


def test_deliveries_of_one_call_never_overlap_and_keep_their_order():
    lanes = Lanes(most=100, most_per_endpoint=8)
    for number in range(3):
        lanes.offer(job(number, order="call_x"), now=0)
    lanes.offer(job(9), now=0)

    [first, other] = take(lanes)
    assert (first.job_id, other.job_id) == ("dlv_0", "dlv_9")
    lanes.finished(first, well=True, took_s=0.01, now=1)
    [second] = take(lanes)
    assert second.job_id == "dlv_1"


def test_what_does_not_fit_is_put_off_further_and_further():
    lanes = Lanes(most=100, most_per_endpoint=8)
    for number in range(8):  # a slow endpoint that is known by now
        lanes.offer(job(number), now=0)
    for _ in range(8):
        for one in take(lanes):
            lanes.finished(one, well=False, took_s=5, now=1)

    waits = [lanes.offer(job(number), now=2) for number in range(100, 130)]

    put_off = [wait for wait in waits if wait is not None]
    assert len(put_off) > 20
    assert put_off == sorted(put_off)
    assert put_off[0] > 1
    assert put_off[-1] == 60.0


def test_an_unknown_endpoint_is_not_put_off_for_long():
    lanes = Lanes(most=100, most_per_endpoint=8)

    waits = [lanes.offer(job(number), now=0) for number in range(2000)]

    assert max(wait for wait in waits if wait is not None) <= 1.0


def test_what_waits_can_be_given_back():
    lanes = Lanes(most=100, most_per_endpoint=8)
    for number in range(6):
        lanes.offer(job(number), now=0)
    sending = take(lanes)

    dropped = lanes.drop_waiting()

    assert {one.job_id for one in [*sending, *dropped]} == {f"dlv_{number}" for number in range(6)}
    assert take(lanes) == []


def test_lanes_that_nobody_uses_are_forgotten():
    lanes = Lanes(most=10_000, most_per_endpoint=8)
    for number in range(600):
        lanes.offer(job(number, endpoint=f"host{number}"), now=0)
    for one in take(lanes):
        lanes.finished(one, well=True, took_s=0.01, now=1)

    for number in range(600, 1200):
        lanes.offer(job(number, endpoint="one"), now=10_000)

    assert len(lanes._lanes) == 1
