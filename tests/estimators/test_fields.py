"""The parameters of the estimators: how many there are, in which order, and those of the parts inside them."""

import dataclasses

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from isthmus import VAE, Autoencoder, estimators
from isthmus.engine import CSVLogger
from isthmus.likelihoods import Gaussian
from isthmus.networks import MLP, Conv
from isthmus.objectives import ImportanceWeighted, PenalizedLikelihood
from isthmus.optimizers import Adam
from isthmus.training import EarlyStopping, Trainer

X = load_iris().data
QUICK = {"max_epochs": 2, "random_state": 0, "hidden_layer_sizes": (8,), "device": "cpu"}
CLASSES = [getattr(estimators, name) for name in estimators.__all__]
SENTENCE = ["n_components", "penalties", "hidden_layer_sizes", "scaling", "max_epochs", "random_state", "trainer"]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_constructor_fits_on_a_screen(cls):
    names = [field.name for field in dataclasses.fields(cls)]
    assert len(names) <= 22
    assert [name for name in names if name in SENTENCE] == SENTENCE
    assert names[:2] == ["n_components", "likelihood"]


# ---- parameters of parts ------------------------------------------------------------------------------------------


def test_parameters_of_parts_are_reached_by_name():
    model = VAE(early_stopping=True)
    params = model.get_params()
    assert params["optimizer__betas"] == "auto"
    assert params["trainer__precision"] == "float32"
    assert params["early_stopping__n_iter_no_change"] == 10
    assert "early_stopping__n_iter_no_change" not in VAE().get_params()
    model.set_params(**params)
    assert (model.optimizer, model.trainer, model.early_stopping) == ("adam", None, True)
    model.set_params(optimizer__betas=(0.8, 0.9), trainer__precision="float64", early_stopping__n_iter_no_change=3)
    model.set_params(objective__free_bits=0.1, network__activation="relu", trainer__compile=True)
    assert model.optimizer == Adam(betas=(0.8, 0.9))
    assert model.trainer == Trainer(precision="float64", compile=True)
    assert model.early_stopping == EarlyStopping(n_iter_no_change=3)
    assert model.objective == PenalizedLikelihood(free_bits=0.1)
    assert clone(model).get_params() == model.get_params()
    assert clone(model).optimizer is not model.optimizer


def test_a_parameter_of_early_stopping_turns_it_on():
    assert VAE().set_params(early_stopping__n_iter_no_change=3).early_stopping == EarlyStopping(n_iter_no_change=3)


def test_one_estimator_does_not_change_the_parts_of_another():
    VAE().set_params(trainer__precision="float64", optimizer__weight_decay=1.0, early_stopping__n_iter_no_change=1)
    assert VAE().get_params()["trainer__precision"] == "float32"
    assert VAE().get_params()["optimizer__weight_decay"] == "auto"
    assert VAE().early_stopping == "auto"


def test_a_search_over_parameters_of_parts():
    grid = {"optimizer__weight_decay": [0.0, 10.0], "early_stopping__n_iter_no_change": [1]}
    search = GridSearchCV(Autoencoder(**QUICK), grid, cv=2).fit(X)
    assert search.best_estimator_.early_stopping == EarlyStopping(n_iter_no_change=1)


@pytest.mark.parametrize(
    ("name", "said", "nested"),
    [
        ("adam_betas", r"optimizer=Adam\(betas=...\), from isthmus.optimizers", "optimizer__betas"),
        ("weight_decay", r"optimizer=Adam\(weight_decay=...\)", "optimizer__weight_decay"),
        ("precision", r"trainer=Trainer\(precision=...\), from isthmus.training", "trainer__precision"),
        ("loggers", r"trainer=Trainer\(callbacks=...\)", "trainer__callbacks"),
        (
            "n_iter_no_change",
            r"early_stopping=EarlyStopping\(n_iter_no_change=...\)",
            "early_stopping__n_iter_no_change",
        ),
        ("activation", r"network=MLP\(activation=...\), from isthmus.networks", "network__activation"),
        ("tied", r"network=MLP\(tied=...\)", "network__tied"),
        ("image_shape", r"network=Conv\(image_shape=...\)", "network__image_shape"),
        ("free_bits", r"objective=PenalizedLikelihood\(free_bits=...\)", "objective__free_bits"),
    ],
)
def test_a_parameter_of_a_part_is_said_to_be_there(name, said, nested):
    with pytest.raises(TypeError, match=f"VAE has no parameter '{name}'; pass {said}"):
        VAE(**{name: 1})
    with pytest.raises(ValueError, match=f"VAE has no parameter '{name}'; set {nested}."):
        VAE().set_params(**{name: 1})


def test_other_unknown_names():
    with pytest.raises(TypeError, match="unknown parameter of Autoencoder 'free_bits'"):
        Autoencoder(free_bits=1.0)  # it has no objective
    with pytest.raises(ValueError, match="Invalid parameter 'n_component'"):
        VAE().set_params(n_component=3)
    with pytest.raises(ValueError, match="unknown parameter of Adam .beta.. Did you mean .betas."):
        VAE().set_params(optimizer__beta=1)


# ---- what they do -------------------------------------------------------------------------------------------------


def test_a_network_has_the_hidden_layers_of_the_estimator_unless_it_has_its_own():
    def hidden(network):
        return Autoencoder(2, hidden_layer_sizes=(8, 4), network=network)._describe().network.hidden_layer_sizes

    assert hidden("mlp") == hidden(MLP(activation="relu")) == hidden("conv") == (8, 4)
    assert hidden(MLP((3,))) == (3,)
    assert hidden(MLP(())) == ()


def test_square_images_need_no_shape():
    model = Autoencoder(2, **QUICK, network="conv").fit(X)  # four columns
    same = Autoencoder(2, **QUICK, network=Conv(image_shape=(2, 2))).fit(X)
    np.testing.assert_array_equal(model.transform(X), same.transform(X))


def test_free_bits_are_those_of_the_kl_penalty():
    """Free bits that no unit uses up remove the gradient of the divergence: beta has no effect then."""
    free = [VAE(**QUICK, beta=beta, objective=PenalizedLikelihood(free_bits=1e9)) for beta in (0.1, 10.0)]
    np.testing.assert_array_equal(*(model.fit(X).transform(X) for model in free))
    assert "free_bits" not in ImportanceWeighted.parameter_names()


def test_gradient_clip():
    """The largest norms are cut; a bound that no gradient reaches changes nothing."""
    plain, loose, tight = (
        VAE(**QUICK, optimizer=Adam(gradient_clip=clip)).fit(X).transform(X) for clip in (None, 1e9, 0.1)
    )
    np.testing.assert_array_equal(plain, loose)
    assert not np.array_equal(plain, tight)


def test_functions_and_loggers_are_called_in_their_order(tmp_path):
    seen = []

    class Logger:
        def log_metrics(self, metrics, step):
            seen.append(("logger", step))

    trainer = Trainer(callbacks=[lambda record: seen.append(("function", record["epoch"])), Logger()])
    VAE(**QUICK, trainer=trainer).fit(X)
    assert seen == [("function", 1), ("logger", 1), ("function", 2), ("logger", 2)]
    log = CSVLogger(tmp_path / "run.csv")
    assert VAE(**QUICK, trainer=Trainer(callbacks=[log])).fit(X).trainer.callbacks[0] is log


def test_repr_has_what_differs():
    model = VAE(likelihood=Gaussian(scale=0.5), optimizer=Adam(weight_decay=0.1), trainer=Trainer(compile=True))
    text = " ".join(repr(model).split())
    assert text == (
        "VAE(likelihood=Gaussian(scale=0.5), optimizer=Adam(weight_decay=0.1), trainer=Trainer(compile=True))"
    )
