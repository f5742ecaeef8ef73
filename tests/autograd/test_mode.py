"""no_grad and its kin: as context managers and decorators, nested, in threads and generators."""

import threading

import pytest

import tinynet as tn


def is_recorded():
    return (tn.ones(1, requires_grad=True) * 2).requires_grad


@pytest.mark.parametrize(
    ("switch", "expected"),
    [
        (tn.no_grad, False),
        (tn.inference_mode, False),
        (lambda: tn.inference_mode(False), True),
        (lambda: tn.inference_mode(mode=False), True),
        (lambda: tn.inference_mode(mode=True), False),
        (lambda: tn.set_grad_enabled(False), False),
        (lambda: tn.set_grad_enabled(mode=False), False),
        (lambda: tn.set_grad_enabled(True), True),
        (tn.enable_grad, True),
    ],
)
@pytest.mark.parametrize("outside", [True, False])
def test_switches(switch, expected, outside):
    with tn.set_grad_enabled(outside):
        with switch():
            assert is_recorded() is tn.is_grad_enabled() is expected
        assert is_recorded() is outside
        decorated = switch()(is_recorded)
        assert is_recorded() is outside
        assert decorated() is expected
        assert is_recorded() is outside
    assert is_recorded()


@pytest.mark.parametrize(
    ("switch", "expected"),
    [(tn.no_grad, False), (tn.inference_mode, False), (tn.enable_grad, True)],
)
def test_decorators_without_parentheses(switch, expected):
    with tn.set_grad_enabled(not expected):

        @switch
        def decorated(x, *, y=1):
            """What it does."""
            return is_recorded(), x, y

        assert decorated(2, y=3) == (expected, 2, 3)
    assert (decorated.__name__, decorated.__doc__) == ("decorated", "What it does.")


def test_set_grad_enabled_as_a_function():
    tn.set_grad_enabled(False)
    assert not is_recorded()
    tn.set_grad_enabled(True)
    assert is_recorded()


def test_nesting_and_reuse():
    switch = tn.no_grad()
    with switch, tn.enable_grad():
        assert is_recorded()
        with switch:
            assert not is_recorded()
        assert is_recorded()
    assert is_recorded()


def test_errors_restore():
    with pytest.raises(KeyError), tn.no_grad():
        raise KeyError
    assert is_recorded()

    @tn.no_grad()
    def failing():
        raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert is_recorded()


def test_each_thread_has_its_own():
    seen = []
    with tn.no_grad():
        thread = threading.Thread(target=lambda: seen.append(is_recorded()))
        thread.start()
        thread.join()
        assert not is_recorded()
    assert seen == [True]


def test_generators_are_switched_only_while_they_run():
    @tn.no_grad()
    def generate():
        try:
            while True:
                sent = yield tn.is_grad_enabled()
                assert not tn.is_grad_enabled()
                if sent == "end":
                    return "result"
        except ValueError:
            yield "caught", tn.is_grad_enabled()

    running = generate()
    assert next(running) is False
    assert is_recorded()
    assert running.send(None) is False
    with pytest.raises(StopIteration) as stopped:
        running.send("end")
    assert stopped.value.value == "result"
    assert is_recorded()

    running = generate()
    next(running)
    assert running.throw(ValueError()) == ("caught", False)
    assert is_recorded()
    running.close()


def test_gradients_of_what_was_made_inside():
    x = tn.ones(2, requires_grad=True)
    with tn.no_grad():
        constant = x * 3
    (constant * x).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
