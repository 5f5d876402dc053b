"""``isthmus export``."""

from __future__ import annotations

import click

from isthmus.cli._errors import note
from isthmus.cli._models import check_exists, load_model, loading

__all__ = ["export"]


@click.command(short_help="Write the model as ONNX files.")
@click.argument("model")
@click.option("--onnx", "folder", metavar="DIR", required=True, help="Folder for the ONNX files; created if needed.")
@click.option(
    "--parts", metavar="NAMES", help="Which of encoder,decoder,scorer to write; by default all that the model has."
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float64"]),
    default="float32",
    show_default=True,
    help="Floating-point type in which the files compute.",
)
def export(model: str, folder: str, parts: str | None, dtype: str) -> None:
    """Write encoder, decoder and, for a vae, log p(x) of MODEL as ONNX files that run without isthmus and PyTorch.

    Each is one file. Before it is written, onnxruntime computes 1, 2 and 1,000 rows with it, and the results are
    compared with those of the model. Categories are indices of levels; the metadata of the file list the levels.

    \b
    isthmus export m.safetensors --onnx onnx
    isthmus export m.safetensors --onnx onnx --parts scorer --dtype float64
    """  # noqa: D301
    check_exists(model)
    with loading():
        from isthmus.export import to_onnx
        from isthmus.export._onnx import check_installed
    check_installed()
    chosen = None if parts is None else [name.strip() for name in parts.split(",") if name.strip()]
    files = to_onnx(load_model(model), folder, parts=chosen, dtype=dtype)
    for file in files.values():
        click.echo(str(file))
    sizes = ", ".join(f"{part} {file.stat().st_size / 1e6:.1f} MB" for part, file in files.items())
    note(f"wrote {sizes}; onnxruntime gives the results of the model for 1, 2 and 1,000 rows")
