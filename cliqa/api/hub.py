"""Models on the Hub of Hugging Face."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cliqa.api.models import HasWorkDir, path_of
from cliqa.config.trust import trusting
from cliqa.hub.licences import check_licence

if TYPE_CHECKING:
    from cliqa.hub.share import Shared


def push_to_hub(
    run: str | Path | HasWorkDir,
    repo_id: str,
    *,
    license: str | None = None,
    license_name: str | None = None,
    license_link: str | None = None,
    private: bool = False,
    folder: str | Path | None = None,
    export: bool = True,
    message: str = "Share a model of cliqa",
    trust: bool = False,
) -> Shared:
    """Send a run's model to the Hub, as data alone and with a model card; or write its folder.

    The folder has ``model.safetensors`` (the weights, with their types), ``config.json`` (the
    config as plain values, without folders, loggers and names of the machine), ``model.onnx``,
    ``results.json`` and ``README.md``, the card. ``cliqa.load("hf://owner/name")``, or `load` of
    the folder, gives a model with exactly the run's scores.

    Args:
        run: What `train` returned, or a work_dir. Its last experience must have ended.
        repo_id: ``"owner/name"``. The repository is made if it does not exist.
        license: The Hub's identifier of the model's licence: ``"cc-by-4.0"``, ``"apache-2.0"`` ...
            It has no default: mind the terms of the data and the pretrained weights.
        license_name: Of ``license="other"``: its name.
        license_link: Of ``license="other"``: where its text is.
        private: Whether the repository has to be private.
        folder: Write the files into this new folder, and send nothing.
        export: Whether ``model.onnx`` is added; it takes pixels where the preprocessing allows it.
        message: Of the commit.
        trust: As in `load`, for a run with components of its own.

    Returns:
        The page's address and its commit, or the folder, and the sizes of the files.

    Raises:
        ConfigError: The licence is missing or unknown, a name is wrong, huggingface_hub or
            safetensors is not installed, or a file would hold a token.
        CheckpointError: The run is in the middle of an experience, or its model takes no images.
        ArtifactError: It has no results.
        HubError: Nobody is logged in, or the Hub refuses or cannot be reached.
    """
    licence = check_licence(license, license_name, license_link)
    from cliqa.hub.share import share  # noqa: PLC0415  a wrong licence is told at once

    with trusting(trust):
        return share(
            path_of(run),
            repo_id,
            licence,
            private=private,
            folder=folder,
            export=export,
            message=message,
        )
