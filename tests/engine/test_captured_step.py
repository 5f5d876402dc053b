"""Captured steps: whatever fails or changes, training with `compile=True` has the bits of training without it."""

import warnings
from contextlib import nullcontext

import pytest
import torch
from sklearn.datasets import load_iris
from torch import nn

from isthmus import VAE, ConditionalVAE, _torch_private
from isthmus._batch import Batch
from isthmus._random import generator
from isthmus.data.loaders import InMemoryLoader
from isthmus.engine import loop
from isthmus.engine.adam import FusedAdam
from isthmus.engine.capture import captured_step, operator_graph
from isthmus.engine.capture.captured_step import CapturedStep, ReplayError
from isthmus.engine.capture.operator_graph import capture_operator_graph
from isthmus.engine.precision import MasterWeights
from isthmus.engine.state import TrainState
from isthmus.likelihoods import Gaussian
from isthmus.networks import MLP
from isthmus.optimizers import Adam
from isthmus.penalties import Warmup
from isthmus.training import Trainer
from regression import Named, Regression, fit, rows, training_loop

X, Y = load_iris(return_X_y=True)
FIELDS = {"hidden_layer_sizes": (8,), "max_epochs": 6, "batch_size": 32, "random_state": 0, "device": "cpu"}
EPOCHS, BATCHES = 6, 5


@pytest.fixture(autouse=True)
def short_runs(monkeypatch):
    """Let short runs be captured."""
    monkeypatch.setattr(loop, "MIN_STEPS", 0)


class Capture:
    """Capture as a CUDA graph does: the step runs on one batch, into which the others are copied."""

    def __init__(self):
        self.captured, self.replayed = 0, 0

    def __call__(self, step, batch, weights):
        static = Batch(*(None if field is None else field.clone() for field in batch))

        def build():
            self.captured += 1
            return replay

        def replay(batch):
            self.replayed += 1
            for target, field in zip(static, batch, strict=True):
                if target is not None:
                    target.copy_(field)
            return step(static, weights)

        return step(batch, weights), build


@pytest.fixture
def capture(monkeypatch):
    capture = Capture()
    monkeypatch.setitem(captured_step.CAPTURES, "cpu", capture)
    return capture


def losses(model):
    return [record | {"seconds": 0} for record in model.history_]


def assert_same_fit(make, *, warns=None, X=X, y=None):
    """Fit with `compile=False` and with `compile=True`: the histories and the tensors are equal to the bit."""
    eager = make(False).fit(X, y)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        compiled = make(True).fit(X, y)
    assert losses(compiled) == losses(eager)
    for name, value in eager.model_.state_dict().items():
        assert torch.equal(value, compiled.model_.state_dict()[name]), name
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == (warns is not None), messages
    for message in messages:
        assert message.startswith("compile=True: training steps are not captured, but run eagerly: ")
        assert warns in message


def vae(compiled=False, trainer=None, **fields):
    shared, trained = Gaussian(scale="shared"), Trainer(compile=compiled, **(trainer or {}))
    parts = {"likelihood": shared, "prior": "standard_normal"}  # a mixture would take most of the time of a fit
    return VAE(2, **{**parts, **FIELDS, **fields}, trainer=trained)


# ---- replaying ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [64, 50])  # the last batch of 50 rows is padded
def test_replayed_steps_are_the_steps(capture, n):
    (eager, expected), (history, found) = (
        fit(Regression(0.1, ridge=0.1), InMemoryLoader(rows(n), 16), schedule=lambda p: 1 - p / 2, capture=how)
        for how in (False, True)
    )
    assert (capture.captured, capture.replayed) == (1, 3 * 4 - 3)
    assert [record["loss"] for record in history] == [record["loss"] for record in eager]
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_steps_on_a_cpu_are_plain_by_default(capture):
    VAE(2, **FIELDS).fit(X)
    assert capture.captured == 0


def test_a_short_run_is_not_captured(capture, monkeypatch):
    monkeypatch.setattr(loop, "MIN_STEPS", 13)
    for n_epochs, captured in ((3, 0), (4, 1)):
        fit(Regression(), InMemoryLoader(rows(64), 16), n_epochs=n_epochs, capture=True)
        assert capture.captured == captured


def test_steps_are_eager_by_default(capture):
    vae().fit(X)
    assert capture.captured == 0


def test_estimators_capture_their_steps(capture):
    vae(True).fit(X)
    assert (capture.captured, capture.replayed) == (1, EPOCHS * BATCHES - 3)
    ConditionalVAE(2, **FIELDS, trainer=Trainer(compile=True)).fit(X, Y)
    assert capture.captured == 2


def test_operator_graphs_of_estimators_have_the_bits_of_eager_steps():
    assert_same_fit(vae)
    assert_same_fit(lambda how: vae(how, early_stopping=True, corruption="masking", beta=Warmup(1.0, over=0.5)))
    assert_same_fit(lambda how: ConditionalVAE(2, **FIELDS, trainer=Trainer(compile=how)), y=Y)


def test_a_loss_that_is_not_finite_is_found_among_replayed_steps(capture):
    class Breaks(Regression):
        def forward(self, batch, weights):
            terms = super().forward(batch, weights)
            terms.values["error"] = torch.where(torch.as_tensor(weights[0]) > 0.7, torch.nan, terms.values["error"])
            return terms

    with pytest.raises(FloatingPointError, match="epoch 3, step 2: error is not finite"):
        fit(Breaks(), InMemoryLoader(rows(64), 16), n_epochs=3, capture=True)
    assert capture.replayed > 0


def test_batches_of_other_shapes_are_not_replayed(capture):
    def step(batch, weights):
        return batch.x.sum() + weights[0]

    captured = CapturedStep(step, state_of(Regression()))
    for n in (2, 2, 2, 2, 3, 2):
        batch = Batch(torch.full((n, 2), float(n)), torch.ones(n))
        assert captured(batch, [0.5]) == 2 * n * n + 0.5
    assert captured(Batch(torch.ones(2, 2), torch.ones(2), mask=torch.ones(2, 2)), [0.25]) == 4.25
    assert capture.replayed == 2


def test_another_number_of_weights_is_captured_anew(capture):
    captured = CapturedStep(lambda batch, weights: batch.x.sum() + sum(weights), state_of(Regression()))
    batch = Batch(torch.ones(2, 2), torch.ones(2))
    assert [float(captured(batch, [i])) for i in range(8)] == [4.0 + i for i in range(8)]
    assert [float(captured(batch, [i, 1])) for i in range(8)] == [5.0 + i for i in range(8)]
    assert capture.captured == 2


def state_of(loss):
    return TrainState(loss, FusedAdam(list(loss.parameters()), 0.0), MasterWeights([]))


# ---- what fails --------------------------------------------------------------------------------------------------


def raising(error):
    def raises(*_args, **_kwargs):
        raise error

    return raises


def without_dispatch_modes(patch):
    patch.delattr("torch.utils._python_dispatch.TorchDispatchMode")


def recorder_fails(patch):
    patch.setattr(operator_graph, "_Call", raising(TypeError("no such record")))


def recorder_changes_an_operator(patch):
    """An error that is the recorder's own, in the middle of the step."""
    run = operator_graph._OpRecorder.run

    def broken(self, func, args, kwargs):
        if "_fused_adamw_" in func.name():
            raise AttributeError("no such operator")
        return run(self, func, args, kwargs)

    patch.setattr(operator_graph._OpRecorder, "run", broken)


def builder_fails(error):
    return lambda patch: patch.setattr(operator_graph._GraphBuilder, "build", raising(error))


def replay_with(change):
    """Change what is replayed: `change` gets the number of the replay, and the function that runs it."""

    def patched(patch):
        count = [0]

        def changed(step, batch, weights):
            result, build = capture_operator_graph(step, batch, weights)

            def build_changed():
                replay = build()

                def replay_changed(batch):
                    count[0] += 1
                    return change(count[0], lambda: replay(batch))

                return replay_changed

            return result, build_changed

        patch.setitem(captured_step.CAPTURES, "cpu", changed)

    return patched


def fails_after(n):
    """The step is taken, and then something fails."""

    def change(number, replay):
        row = replay()
        if number >= n:
            raise MemoryError("no memory is left")
        return row

    return replay_with(change)


def draws_once_more_at(n):
    def change(number, replay):
        row = replay()
        if number == n:
            torch.randn((), generator=generator())
        return row

    return replay_with(change)


def other_loss(number, replay):
    return replay() * 2 if number == 1 else replay()


STAGES = {
    "no dispatch mode": (without_dispatch_modes, "ImportError"),
    "an operator is not recorded": (recorder_fails, "TypeError: no such record"),
    "an operator is not run": (recorder_changes_an_operator, "AttributeError: no such operator"),
    "no graph: KeyError": (builder_fails(KeyError("aten")), "KeyError: 'aten'"),
    "no graph: RuntimeError": (builder_fails(RuntimeError("first line\nsecond line")), "RuntimeError: first line"),
    "no graph: AssertionError": (builder_fails(AssertionError()), "AssertionError"),
    "no code": (lambda patch: patch.setattr("torch.fx.GraphModule", raising(SyntaxError("no"))), "SyntaxError: no"),
    "the first replay fails": (fails_after(1), "MemoryError: no memory is left"),
    "the first replay draws other numbers": (draws_once_more_at(1), "a replayed step gives other numbers"),
    "the first replay has another loss": (replay_with(other_loss), "a replayed step gives other numbers"),
    "a later replay fails": (fails_after(9), "MemoryError: no memory is left"),
}


@pytest.mark.parametrize("stage", STAGES)
def test_whatever_fails_each_step_is_taken_once(monkeypatch, stage):
    """Training has the bits of an uncaptured run, and one warning names the reason."""
    break_it, reason = STAGES[stage]
    counts = []

    def counted(self, count=FusedAdam.step):
        counts[-1] += 1
        return count(self)

    monkeypatch.setattr(FusedAdam, "step", counted)

    def make(how):
        counts.append(0)
        if how:
            break_it(monkeypatch)
        return vae(how, beta=Warmup(2.0, over=0.5), optimizer=Adam(weight_decay=0.01, gradient_clip=1.0))

    assert_same_fit(make, warns=reason)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_parts_of_others_are_trusted_after_three_checks(monkeypatch, n):
    """A replay that differs in one of them ends capturing; the parameters are those of the eager steps."""
    tanh = type("Tanh", (MLP,), {"__module__": "mine"})

    def make(how):
        if how:
            draws_once_more_at(n)(monkeypatch)
        return vae(how, network=tanh((8,), activation="tanh"))

    assert_same_fit(make, warns="a replayed step gives other numbers")


def test_parts_of_others_that_pass_are_captured(capture):
    tanh = type("Tanh", (MLP,), {"__module__": "mine"})
    assert_same_fit(lambda how: vae(how, network=tanh((8,), activation="tanh")))
    assert capture.captured == 1


def test_own_parts_are_trusted_after_one_check(monkeypatch):
    """A replay that goes wrong later is not noticed: this is what the checks of parts from outside are for."""
    draws_once_more_at(4)(monkeypatch)
    eager, compiled = (vae(how).fit(X) for how in (False, True))
    assert losses(compiled) != losses(eager)


def test_an_error_of_the_loss_itself_is_raised():
    class Fails(Regression):
        def forward(self, batch, weights):
            if len(self.seen) > 2:
                raise KeyError("mine")
            return super().forward(batch, weights)

    for how in (False, True):
        warned = pytest.warns(UserWarning, match="KeyError: 'mine'") if how else nullcontext()
        with pytest.raises(KeyError, match="mine"), warned:
            fit(Fails(), InMemoryLoader(rows(64), 16), capture=how)


def test_a_replay_that_fails_is_an_error_of_its_own(monkeypatch):
    fails_after(4)(monkeypatch)
    engine = training_loop(Regression())
    captured = CapturedStep(engine._train_step, engine.state)
    for _ in range(6):
        captured(rows(8), [1.0])
    with pytest.warns(UserWarning, match="MemoryError"), pytest.raises(ReplayError):
        captured(rows(8), [1.0])
    captured(rows(8), [1.0])  # an eager step


@pytest.mark.parametrize(
    ("obstacle", "reason"),
    [
        ("several parts", "batches are computed in several parts"),
        ("anomaly detection", "torch's anomaly detection is on"),
        ("another device", "there is no way to capture steps on the device cpu"),
    ],
)
def test_obstacles_are_named(capture, monkeypatch, obstacle, reason):
    monkeypatch.setitem(captured_step.CAPTURES, "cpu", capture)
    if obstacle == "another device":
        monkeypatch.delitem(captured_step.CAPTURES, "cpu")
    more = {"trainer": {"gradient_accumulation": 2}} if obstacle == "several parts" else {}
    with torch.autograd.set_detect_anomaly(obstacle == "anomaly detection"):
        assert_same_fit(lambda how: vae(how, **more), warns=reason)
    assert capture.captured == 0


# ---- what callbacks change ---------------------------------------------------------------------------------------


def freeze_encoder(model):
    model.network.encoder.requires_grad_(False)


def another_activation(model):
    model.network.activation = "relu"


def double_gradient(model):
    model.network.output_bias.register_hook(lambda gradient: 2 * gradient)


def scale_posterior(model):
    model.posterior.register_forward_pre_hook(lambda _module, inputs: (1.5 * inputs[0], *inputs[1:]))


def move_parameters(model):
    with torch.no_grad():
        vector = nn.utils.parameters_to_vector(model.parameters())
        nn.utils.vector_to_parameters(0.5 * vector, model.parameters())  # into memory of their own


def another_likelihood_scale(model):
    with torch.no_grad():
        for parameter in model.likelihood.parameters():
            parameter.add_(1.0)


HOOK = "a hook is registered"
CHANGES = {
    "requires_grad": (freeze_encoder, None),
    "activation": (another_activation, None),
    "parameters in other memory": (move_parameters, None),
    "parameters of the likelihood": (another_likelihood_scale, None),
    "a hook of a parameter": (double_gradient, HOOK),
    "a hook of a module": (scale_posterior, HOOK),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_callback_changes_takes_effect(change):
    apply, reason = CHANGES[change]

    def make(how):
        def callback(record):
            if record["epoch"] == 3:
                apply(model.model_)

        model = vae(how, {"callbacks": [callback]})
        return model

    assert_same_fit(make, warns=reason)
    assert losses(make(False).fit(X)) != losses(vae().fit(X)), "the change has an effect"


def test_what_a_callback_changes_is_captured_anew(capture):
    def callback(record):
        if record["epoch"] == 3:
            freeze_encoder(model.model_)

    model = vae(True, {"callbacks": [callback]})
    model.fit(X)
    assert capture.captured == 1  # this capture runs Python code, which sees the change
    assert capture.replayed == EPOCHS * BATCHES - 3


def test_a_weight_that_a_callback_changes_takes_effect(capture):
    class Weighted(Regression):
        factor = 1.0

        def weights(self, progress):
            return [self.factor]

        def forward(self, batch, weights):
            terms = super().forward(batch, weights)
            return Named({name: weights[0] * value for name, value in terms.values.items()})

    found = []
    for how in (False, True):
        loss = Weighted(0.1)
        callbacks = [lambda record, loss=loss: setattr(loss, "factor", 1.0 + record["epoch"])]
        history, parameters = fit(loss, InMemoryLoader(rows(64), 16), capture=how, more={"callbacks": callbacks})
        found.append(([record["loss"] for record in history], parameters))
    assert capture.captured == 1
    assert found[0][0] == found[1][0]
    assert all(torch.equal(a, b) for a, b in zip(found[0][1], found[1][1], strict=True))


class Cyclic(Warmup):
    """A schedule of a user's own, which counts its calls."""

    def at(self, progress):
        n = self.__dict__["n"] = self.__dict__.get("n", 0) + 1
        return self.value * ((n // 10) % 2)


def test_a_user_s_schedule_is_followed():
    assert_same_fit(lambda how: vae(how, beta=Cyclic(3.0)))
    assert losses(vae(beta=Cyclic(3.0)).fit(X)) != losses(vae(beta=0.0).fit(X))


def test_a_learning_rate_schedule_of_a_user_s_own_is_followed(capture):
    steps = []

    def schedule(_progress):
        steps.append(1)
        return 1.0 + (len(steps) // 5) % 2

    found = []
    for how in (False, True):
        steps.clear()
        found.append(fit(Regression(0.1), InMemoryLoader(rows(64), 16), schedule=schedule, capture=how)[1])
    assert capture.replayed > 0
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


# ---- private names of torch --------------------------------------------------------------------------------------


def without_schema(patch):
    patch.setattr(operator_graph, "writes", lambda _: _torch_private.writes(None))


MISSING = {
    "torch._fused_adamw_": (lambda patch: patch.delattr(torch, "_fused_adamw_"), "depends on the values of tensors"),
    "torch._foreach_copy_": (lambda patch: patch.delattr(torch, "_foreach_copy_"), None),
    "TorchDispatchMode": (without_dispatch_modes, "ImportError"),
    "OpOverload._schema": (without_schema, None),
    "hooks of modules": (lambda patch: patch.setattr(_torch_private, "_MODULE_HOOKS", ("_no",)), HOOK),
    "hooks of parameters": (lambda patch: patch.setattr(_torch_private, "_PARAMETER_HOOKS", ("_no",)), HOOK),
    "hooks of all modules": (lambda patch: patch.setattr(_torch_private, "_GLOBAL_HOOKS", ("_no",)), HOOK),
}


@pytest.mark.parametrize("name", MISSING)
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_training_goes_without_a_private_name_of_torch(any_processor, monkeypatch, name, precision):
    remove, reason = MISSING[name]
    with_it = vae(trainer={"precision": precision}).fit(X)
    remove(monkeypatch)
    assert_same_fit(lambda how: vae(how, {"precision": precision}), warns=reason)
    for a, b in zip(with_it.history_, vae(trainer={"precision": precision}).fit(X).history_, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-3)
