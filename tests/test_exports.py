"""The public names, pinned: adding, removing or moving one is a change of this file."""

import importlib
import subprocess
import sys

import pytest

import isthmus

EXPORTS = {
    "isthmus": [
        "VAE",
        "Autoencoder",
        "AutoencoderImputer",
        "AutoencoderOutlierDetector",
        "ConditionalVAE",
        "ContractiveAutoencoder",
        "DenoisingAutoencoder",
        "SparseAutoencoder",
        "choose_n_components",
        "load",
    ],
    "isthmus.estimators": [
        "VAE",
        "Autoencoder",
        "ConditionalVAE",
        "ContractiveAutoencoder",
        "DenoisingAutoencoder",
        "SparseAutoencoder",
    ],
    "isthmus.likelihoods": [
        "Bernoulli",
        "Categorical",
        "ContinuousBernoulli",
        "DiscretizedLogistic",
        "EmbeddedCategorical",
        "FactorizedDistribution",
        "Gaussian",
        "Laplace",
        "Likelihood",
        "Mixed",
        "NegativeBinomial",
        "Poisson",
        "StudentT",
        "ZeroInflatedNegativeBinomial",
        "ZeroInflatedPoisson",
    ],
    "isthmus.posteriors": [
        "BatchTopK",
        "DiagonalNormal",
        "FlowNormal",
        "FullNormal",
        "LargestUnits",
        "Point",
        "Posterior",
        "TopK",
    ],
    "isthmus.priors": ["ConditionalNormal", "Flow", "MixtureOfNormals", "Prior", "StandardNormal", "VampPrior"],
    "isthmus.corruptions": [
        "Corruption",
        "GaussianNoise",
        "Masking",
        "NoCorruption",
        "SaltAndPepper",
        "UniformNoise",
        "VaryingNoise",
    ],
    "isthmus.scaling": ["MinMax", "ColumnMoments", "NoScaling", "PerColumn", "Scaling", "Standard"],
    "isthmus.networks": ["MLP", "Conv", "Layer", "Network", "Sizes", "join_inputs"],
    "isthmus.penalties": [
        "KL",
        "L1",
        "AuxK",
        "Contraction",
        "EncodedBatch",
        "KLSparsity",
        "Matryoshka",
        "Penalty",
        "Warmup",
    ],
    "isthmus.optimizers": ["Adam", "Optimizer"],
    "isthmus.training": ["EarlyStopping", "Trainer"],
    "isthmus.objectives": ["TrainingLoss", "ImportanceWeighted", "Objective", "PenalizedLikelihood", "Terms"],
    "isthmus.kl": ["kl_divergence", "kl_per_unit", "register"],
    "isthmus.model": ["Model"],
    "isthmus.serialization": [
        "FORMAT",
        "FileError",
        "MissingFileError",
        "SavedFile",
        "TensorInfo",
        "decode",
        "encode",
        "fits",
        "open_saved",
        "printable",
        "quoted",
        "read",
        "unknown_parts",
        "write",
    ],
    "isthmus.data": [
        "BUNDLED",
        "STREAM_ABOVE",
        "ArrayRows",
        "DataError",
        "Dataset",
        "DatasetRows",
        "FileRows",
        "MissingFileError",
        "ParquetRows",
        "RowSource",
        "TableBlocks",
        "as_source",
        "check_writable",
        "load_bundled",
        "open_rows",
        "open_writer",
        "read",
        "readable_suffixes",
        "resolve",
        "writable_suffixes",
        "write",
        "write_frame",
    ],
    "isthmus.tables": [
        "CategoryColumn",
        "Column",
        "ConstantColumn",
        "DurationColumn",
        "EmptyColumn",
        "Frame",
        "NumberColumn",
        "OmittedColumn",
        "TableCodec",
        "TimeColumn",
        "is_table",
        "to_pandas",
    ],
    "isthmus.metaestimators": ["AutoencoderImputer", "AutoencoderOutlierDetector", "Explanation"],
    "isthmus.assessment": [
        "CHECKS",
        "Assessment",
        "Baseline",
        "Check",
        "Examination",
        "Selection",
        "SizeResult",
        "assess",
        "choose_n_components",
        "examine",
    ],
    "isthmus.explorer": ["Explorer", "export_page", "make_widget", "serve"],
    "isthmus.export": ["onnx_input", "scoring_noise", "to_onnx"],
    "isthmus.hub": ["from_hub", "model_card", "push_to_hub"],
    "isthmus.report": ["Report", "make_comparison", "make_report"],
    "isthmus.engine": [
        "CSVLogger",
        "Checkpoints",
        "InterruptedTrainingError",
        "NonFiniteError",
        "Record",
        "TensorBoardLogger",
        "TrainingLoop",
        "find_schedule",
        "keep_until_saved",
    ],
    "isthmus.testing": [
        "check_corruption",
        "check_likelihood",
        "check_network",
        "check_objective",
        "check_part",
        "check_penalty",
        "check_posterior",
        "check_prior",
        "check_scaling",
    ],
}


@pytest.mark.parametrize("name", EXPORTS)
def test_exports(name):
    module = importlib.import_module(name)
    assert sorted(module.__all__) == sorted(EXPORTS[name])
    for export in module.__all__:
        getattr(module, export)


def test_public_names_are_found_where_the_table_says():
    for name in isthmus.__all__:
        assert getattr(isthmus, name).__name__ == name
    assert set(dir(isthmus)) >= {*isthmus.__all__, "__version__"}
    with pytest.raises(AttributeError, match="no attribute 'Vae'"):
        isthmus.Vae  # noqa: B018 - the look-up is the test


def run(code):
    """Run a line in a fresh interpreter."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_import_is_light():
    """`import isthmus` loads neither torch nor scikit-learn nor numpy; the first name that is used does."""
    heavy = "[m for m in ('torch', 'sklearn', 'scipy', 'pandas', 'matplotlib', 'numpy') if m in sys.modules]"
    assert run(f"import sys, isthmus; print({heavy})") == "[]"
    assert run("import sys, isthmus; dir(isthmus); isthmus.__version__; print('torch' in sys.modules)") == "False"


def test_star_import():
    names = {}
    exec("from isthmus import *", names)
    assert {name for name in names if name[0] != "_"} == set(isthmus.__all__)


def test_training_imports_neither_a_compiler_nor_sympy():
    """They take longer to import than a small model to train."""
    fields = "max_epochs=60, batch_size=75, random_state=0, prior='standard_normal', trainer=Trainer(compile=True)"
    train = f"VAE(2, {fields}).fit(load_iris().data)"
    heavy = "[m for m in ('sympy', 'torch._dynamo', 'torch._inductor') if m in sys.modules]"
    imports = "import sys; from sklearn.datasets import load_iris; from isthmus import VAE"
    imports += "; from isthmus.training import Trainer"
    assert run(f"{imports}; {train}; print({heavy})") == "[]"
