"""Every place where the package reads foreign data or runs foreign code, against a reviewed list.

`docs/security.md` says what is trusted. A loader that is new here has to be looked at first: can
the bytes that it reads run code, open another file, fetch an address or kill the process? Then it
gets a line in `REVIEWED`, under the reason why it cannot, or why it may.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.trees import tree_of

ROOT = Path(__file__).resolve().parents[1]

LIBRARIES = (
    *("pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"),  # objects
    *("importlib.import_module", "importlib.reload", "importlib.util", "importlib.machinery"),
    *("pkgutil", "runpy", "ctypes", "code.interact"),  # code
    *("subprocess", "multiprocessing", "pty", "webbrowser", "os.system", "os.popen", "os.exec"),
    *("os.spawn", "os.posix_spawn", "os.fork", "os.startfile"),  # processes
    *("socket", "ftplib", "requests", "urllib.request", "gdown", "huggingface_hub", "clip.load"),
    *("torch.hub", "torchvision.datasets", "torchvision.models.get_model"),  # the network
    *("zipfile", "tarfile", "gzip", "bz2", "lzma", "zlib", "shutil.unpack_archive"),  # archives
    *("yaml", "xml", "lxml", "h5py", "scipy.io", "openpyxl", "pandas"),  # formats
    *("csv.reader", "csv.DictReader", "ast.literal_eval", "mmengine.config.Config"),
    *("torch.load", "torch.jit", "torch.package", "torch.serialization"),
    *("numpy.load", "numpy.fromfile", "numpy.genfromtxt", "numpy.memmap"),
    *("PIL.Image.open", "cv2", "imageio", "torchvision.io", "skimage.io", "pillow_heif"),  # images
    *("lmdb", "onnx", "onnxruntime", "openvino", "tokenizers", "timm", "transformers"),
    "safetensors",
)
"""How the full names of what reads or runs begin."""

BUILTINS = frozenset({"eval", "exec", "compile", "__import__", "breakpoint"})

METHODS = frozenset(
    {
        *("read_model", "InferenceSession", "load_workbook", "loadmat", "extractall", "fromfile"),
        *("load_state_dict_from_url", "from_pretrained", "create_model", "get_object_from_string"),
    }
)
"""Functions and methods that count wherever they come from."""

OF_RESULTS = frozenset({".load", ".loads", ".open"})
"""Methods of what a call returns: ``library("onnx").load``."""

WATCHED = frozenset({*LIBRARIES, *BUILTINS, *OF_RESULTS})
BELOW = tuple(name if name.startswith("os.") else f"{name}." for name in LIBRARIES)
"""How names below a watched one begin; of os also execv for exec."""

HARMLESS = (
    *("Error", "MapFullError", "BadZipFile", "InvalidFileException", "zlib.error"),
    *("DEVNULL", "STDOUT", "ZIP_STORED", "encode_jpeg"),
    *("pandas.DataFrame", "pandas.Index", "pandas.DataFrame.from_dict"),
)
"""Ends of names that only tell what went wrong, or how, or that hold plain values."""


def loaders_of(path: Path, root: Path = ROOT) -> Iterator[str]:
    """Yield what a file uses of the libraries that read or run, as ``file::function what``."""
    tree = tree_of(path)
    nodes = list(ast.walk(tree))
    names = _imported(nodes)
    inner = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    for owner, node in _owned(tree, "module"):
        what = None if id(node) in inner else _what(node, names)
        if what and not what.endswith(HARMLESS) and "ImageReadMode" not in what:
            yield f"{path.relative_to(root).as_posix()}::{owner} {what}"


def _imported(nodes: Sequence[ast.AST]) -> dict[str, str]:
    """Return the full names of what a file imports, by the names that it uses.

    What is imported for type checking alone does not exist when the file runs.
    """
    found: dict[str, str] = {}
    checking = {
        id(node)
        for block in nodes
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
    }
    for node in nodes:
        if id(node) in checking:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return found


def _owned(tree: ast.AST, owner: str) -> Iterator[tuple[str, ast.AST]]:
    """Yield the nodes of a tree, each with the function or class that it stands in."""
    for node in ast.iter_child_nodes(tree):
        inside = owner
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inside = node.name if owner == "module" else f"{owner}.{node.name}"
        yield inside, node
        yield from _owned(node, inside)


def _what(node: ast.AST, names: dict[str, str]) -> str | None:
    """Return the full name of what a node reads or runs with, None for other nodes."""
    if isinstance(node, ast.keyword) and node.arg in ("download", "allow_pickle"):
        return f"{node.arg}={ast.unparse(node.value)}"
    if isinstance(node, (ast.Attribute, ast.Name)) and isinstance(node.ctx, ast.Load):
        full = _full_name(node, names)
        if full in WATCHED or full.rpartition(".")[2] in METHODS or full.startswith(BELOW):
            return full
    return None


def _full_name(node: ast.expr, names: dict[str, str]) -> str:
    """Return a chain of attributes as one name, with the import that it starts from."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    start = names.get(node.id, node.id) if isinstance(node, ast.Name) else ""
    return ".".join([start, *reversed(parts)])


REVIEWED: dict[str, tuple[str, ...]] = {
    "A config that the user names is code, and so is what it imports.": (
        "cliqa/config/load.py::_run mmengine.config.Config.fromfile",
        "cliqa/config/load.py::_changed mmengine.config.Config._get_cfg_path",
        "cliqa/config/inheritance.py::_base_names compile",
        "cliqa/config/inheritance.py::_base_names eval",
        "cliqa/registry.py::from_dotted_path importlib.import_module",
        "cliqa/config/trust.py::import_custom_modules importlib.import_module",
    ),
    "Avalanche's readers, which unpickle, run for a config that the user names (a file's needs "
    "--trust), and look no address up unless it says download=True.": (
        "cliqa/benchmarks/upstream/offline.py::no_downloads socket.getaddrinfo",
    ),
    "Modules by names that stand in the sources: our own rooms, and optional libraries.": (
        "cliqa/__init__.py::__getattr__ __import__",
        "cliqa/commands/main.py::_work importlib.import_module",
        "cliqa/training/__init__.py::__getattr__ importlib.import_module",
        "tools/clear_dataset.py::__getattr__ __import__",
        "cliqa/config/__init__.py::__getattr__ __import__",
        "cliqa/moved.py::OldPaths.exec_module importlib.import_module",
        "cliqa/moved.py::OldPaths.find_spec importlib.machinery.ModuleSpec",
        "cliqa/deploy/libraries.py::library importlib.import_module",
        "cliqa/deploy/search/options.py::check_libraries importlib.util.find_spec",
        "cliqa/compress/deployments.py::can_be_made importlib.util.find_spec",
        "cliqa/utils/device.py::check_compiler importlib.util.find_spec",
        "cliqa/datasets/labels/parquet.py::read_parquet importlib.import_module",
        "cliqa/models/language/byte_pairs.py::_library tokenizers",
        "cliqa/models/backbones/timm_models.py::import_timm importlib.import_module",
        "cliqa/models/mmpretrain_bridge.py::_import_advice importlib.util.find_spec",
        "cliqa/models/mmpretrain_bridge.py::import_mmpretrain importlib.import_module",
        "cliqa/transforms/image_file.py::_image_suffixes importlib.util.find_spec",
        "cliqa/transforms/image_file.py::image_formats importlib.import_module",
        "cliqa/registry.py::ComponentRegistry._import_module_of importlib.import_module",
        "cliqa/registry.py::import_tree importlib.import_module",
        "cliqa/registry.py::import_tree pkgutil.walk_packages",
        "cliqa/config/names.py::package_folder importlib.util.find_spec",
    ),
    "Tensors and plain types alone: weights_only=True, allow_pickle=False.": (
        "cliqa/datasets/clear/features.py::_load torch.load",
        "cliqa/utils/checkpoint.py::_read_safetensors importlib.import_module",
        "cliqa/utils/checkpoint.py::_read_safetensors safetensors.load_file",
        "cliqa/utils/checkpoint.py::load_checkpoint torch.load",
    ),
    "An unpickler of our own, which knows tensors and lists, over uncompressed members.": (
        "cliqa/models/language/torchscript_file.py::_Unpickler pickle.Unpickler",
        "cliqa/models/language/torchscript_file.py::_Unpickler.__init__ zipfile.ZipFile",
        "cliqa/models/language/torchscript_file.py::_class_names zipfile.ZipFile",
        "cliqa/models/language/torchscript_file.py::is_torchscript zipfile.is_zipfile",
        "cliqa/models/language/torchscript_file.py::read_torchscript .load",
        "cliqa/models/language/torchscript_file.py::read_torchscript zipfile.ZipFile",
    ),
    "Graphs of fixed operators on the CPU; their descriptions go through check_description.": (
        "cliqa/deploy/onnx/file.py::load_proto onnx.load",
        "cliqa/deploy/onnx/session.py::open_session.opened runtime.InferenceSession",
        "cliqa/deploy/onnx/graph.py::load_graph onnx.checker.check_model",
        "cliqa/deploy/onnx/graph.py::load_graph onnx.load_external_data_for_model",
        "cliqa/deploy/openvino/backend.py::openvino_forward openvino.Core",
        "cliqa/deploy/openvino/backend.py::read_openvino .read_model",
        "cliqa/deploy/openvino/backend.py::read_openvino openvino.Core",
        "cliqa/deploy/onnx/integers/prepared_graph.py::prepared .load",
    ),
    "Plain values and tensors that are written; nothing is read.": (
        "cliqa/engine/shared_model/folder.py::write_shared safetensors.save",
        "cliqa/hub/card.py::_yaml yaml.safe_dump",
        "cliqa/hub/card_data.py::front_matter yaml.safe_dump",
    ),
    "Images: decoders of the formats that are meant to be read.": (
        "cliqa/transforms/decode.py::_decode_with_torchvision torchvision.io.decode_image",
        "cliqa/transforms/image_file.py::open_image PIL.Image.open",
    ),
    "Graphs that were built or exported here just before.": (
        "cliqa/deploy/onnx/integers/integer_forms.py::_put_sum onnx.TensorProto",
        "cliqa/deploy/onnx/integers/integer_forms.py::_put_sum onnx.helper.make_node",
        "cliqa/deploy/onnx/integers/integer_forms.py::_put_sum onnx.helper.make_tensor",
        "cliqa/deploy/operator_times.py::operator_times .load",
    ),
    "Images that were encoded here just before.": (
        "cliqa/demo_data/distortions.py::jpeg PIL.Image.open",
        "cliqa/demo_data/degraded_images.py::degrade_photo PIL.Image.open",
        "cliqa/transforms/degradations/compression.py::Jpeg.send torchvision.io.decode_jpeg",
        "cliqa/transforms/degradations/compression.py::_PillowCodec.send PIL.Image.open",
    ),
    "Tables and texts by readers that build plain values.": (
        "cliqa/datasets/labels/csv_labels.py::_read_cells csv.reader",
        "cliqa/inference/score_files/unfinished.py::_csv_rows csv.reader",
        "cliqa/datasets/labels/layouts/shape.py::parted csv.reader",
        "cliqa/datasets/labels/spreadsheet.py::_filled_rows openpyxl.load_workbook",
        "cliqa/models/language/text_files.py::_Loader yaml.SafeLoader",
        "cliqa/models/language/text_files.py::parse_texts yaml.load",
        "cliqa/config/option_values.py::_dict ast.literal_eval",
    ),
    "Published data by torchvision, which checks their MD5 sums; no file's config downloads.": (
        "cliqa/datasets/classes/cifar.py::_first_wrong torchvision.datasets.CIFAR10",
        "cliqa/datasets/classes/cifar.py::_first_wrong torchvision.datasets.utils.check_integrity",
        "cliqa/datasets/classes/cifar.py::_open download=download",
        "cliqa/datasets/classes/cifar.py::_open torchvision.datasets.CIFAR10",
        "cliqa/datasets/classes/cifar.py::_read download=True",
        "cliqa/datasets/classes/cifar.py::_read torchvision.datasets.CIFAR10",
        "cliqa/datasets/classes/cifar.py::_split torchvision.datasets.CIFAR10",
        "cliqa/datasets/classes/cifar.py::read_cifar10 torchvision.datasets.CIFAR10",
        "cliqa/datasets/classes/cifar.py::read_cifar100 torchvision.datasets.CIFAR100",
        "cliqa/commands/studies/four_phases.py::_check_data download=True",  # --download
        "cliqa/datasets/classes/fashion_mnist.py::read_fashion_mnist download=True",
        "cliqa/datasets/classes/fashion_mnist.py::read_fashion_mnist "
        "torchvision.datasets.FashionMNIST",
    ),
    "Networks by torchvision's names, with weights only where the user's own config has them.": (
        "cliqa/models/backbones/extractor.py::last_node torchvision.models.get_model",
        "cliqa/models/backbones/torchvision_backbone.py::_model torchvision.models.get_model",
    ),
    "Networks by names in timm's list, no address; weights_only=True, and as of torchvision.": (
        "cliqa/models/backbones/timm_models.py::_check_name timm.list_models",
        "cliqa/models/backbones/timm_models.py::_check_name timm.list_pretrained",
        "cliqa/models/backbones/timm_models.py::_downloaded timm.create_model",
        "cliqa/models/backbones/timm_models.py::_downloaded timm.get_pretrained_cfg",
        "cliqa/models/backbones/timm_models.py::timm_model timm",
        "cliqa/models/backbones/timm_models.py::timm_model timm.create_model",
    ),
    "An archive that is written of files of our own, not read.": (
        "cliqa/app/tabs/compress_forms.py::_copy zipfile.ZipFile",
    ),
    "Processes of our own: git in the package's folder, and commands of cliqa with arguments that "
    "are checked.": (
        "cliqa/app/queue/jobs.py::Jobs.__init__ subprocess.Popen",
        "cliqa/app/queue/process.py::launched subprocess.Popen",
        "cliqa/engine/work_dir/artifacts.py::_git_revision subprocess.run",
        "cliqa/studies/backends/local.py::_Running subprocess.Popen",
        "cliqa/studies/backends/local.py::_end subprocess.Popen",
        "cliqa/studies/backends/local.py::_start subprocess.Popen",
        "cliqa/studies/backends/on_node.py::RunOnNode.__init__ subprocess.Popen",
        "cliqa/studies/backends/on_node.py::RunOnNode.end subprocess.TimeoutExpired",
        "cliqa/studies/backends/on_node.py::_start subprocess.Popen",
        "cliqa/studies/backends/with_parent.py::main ctypes.CDLL",
        "cliqa/studies/backends/with_parent.py::main os.execv",
    ),
    "The C library's own sigaltstack, which reads no file.": (
        "cliqa/deploy/openvino/signal_stack.py::SignalStack ctypes.Structure",
        "cliqa/deploy/openvino/signal_stack.py::SignalStack ctypes.c_int",
        "cliqa/deploy/openvino/signal_stack.py::SignalStack ctypes.c_size_t",
        "cliqa/deploy/openvino/signal_stack.py::SignalStack ctypes.c_void_p",
        "cliqa/deploy/openvino/signal_stack.py::kept_signal_stack ctypes.CDLL",
        "cliqa/deploy/openvino/signal_stack.py::kept_signal_stack ctypes.byref",
    ),
    "A study on several machines: their names, and whether the address that the user gave answers; "
    "nothing is read from it.": (
        "cliqa/studies/backends/on_node.py::RunOnNode.run socket.gethostname",
        "cliqa/studies/backends/ray.py::check_address socket.create_connection",
        "cliqa/studies/backends/ray_task.py::run_task socket.gethostname",
        "cliqa/studies/backends/slurm_run.py::Report._write socket.gethostname",
    ),
    "The port at which a server listens; `cliqa.app.guard` and `cliqa.serve.boundary` stand before "
    "what comes in.": (
        "cliqa/utils/system/ports.py::_address socket.AF_INET",
        "cliqa/utils/system/ports.py::_address socket.AI_PASSIVE",
        "cliqa/utils/system/ports.py::_address socket.SOCK_STREAM",
        "cliqa/utils/system/ports.py::_address socket.gaierror",
        "cliqa/utils/system/ports.py::_address socket.getaddrinfo",
        "cliqa/utils/system/ports.py::_bound socket.SOCK_STREAM",
        "cliqa/utils/system/ports.py::_bound socket.SOL_SOCKET",
        "cliqa/utils/system/ports.py::_bound socket.SO_REUSEADDR",
        "cliqa/utils/system/ports.py::_bound socket.SO_REUSEPORT",
        "cliqa/utils/system/ports.py::_bound socket.socket",
        "cliqa/utils/system/ports.py::listening socket.socket",
        "cliqa/utils/system/ports.py::open_port socket.socket",
    ),
    "Archives: sizes are checked before anything is unpacked, and checksums compared.": (
        "cliqa/datasets/classes/fashion_mnist.py::read_idx gzip.open",
        "cliqa/engine/work_dir/data_record.py::_checks zlib.crc32",
        "cliqa/engine/work_dir/data_record.py::record_samples zlib.crc32",
        "cliqa/utils/archive.py::check_archive zipfile.ZipFile",
        "cliqa/utils/archive.py::read_npz zipfile.ZipFile",
        "cliqa/utils/checkpoint.py::saved_damage zipfile.is_zipfile",
        "cliqa/utils/checkpoint.py::newest_whole zipfile.is_zipfile",
        "cliqa/utils/archive.py::_contents zipfile.ZipInfo",
        "cliqa/utils/archive.py::_damage_in zipfile.ZipFile",
        "cliqa/utils/archive.py::_frame zipfile.ZipInfo",
        "cliqa/utils/archive.py::_is_own zipfile.ZipInfo",
        "cliqa/utils/archive.py::seal_zip zipfile.ZipFile",
        "cliqa/utils/archive.py::seal_zip zipfile.ZipInfo",
        "cliqa/utils/archive.py::zip_damage zipfile.ZipFile",
    ),
    "The scoring service: workers of our own, which get what was asked for as JSON.": (
        "cliqa/serve/supervisor.py::Supervisor.__init__ socket.socket",
        "cliqa/serve/supervisor.py::Supervisor._start socket.socket",
        "cliqa/serve/supervisor.py::_Worker.__init__ socket.socket",
        "cliqa/serve/supervisor.py::_Worker.__init__ subprocess.PIPE",
        "cliqa/serve/supervisor.py::_Worker.__init__ subprocess.Popen",
        "cliqa/serve/supervisor.py::check_libraries importlib.util.find_spec",
        "cliqa/serve/supervisor.py::check_libraries socket",
        "cliqa/serve/worker.py::_serve socket.socket",
        "cliqa/serve/worker.py::main socket.socket",
    ),
    "Images by address, with --allow-urls alone: public addresses, which are checked and then "
    "connected to; no redirects; bytes and seconds are limited.": (
        "cliqa/serve/addresses.py::_content socket.socket",
        "cliqa/serve/addresses.py::_cut socket.SHUT_RDWR",
        "cliqa/serve/addresses.py::_cut socket.socket",
        "cliqa/serve/addresses.py::_public_address socket.SOCK_STREAM",
        "cliqa/serve/addresses.py::_public_address socket.getaddrinfo",
        "cliqa/serve/addresses.py::fetch socket.create_connection",
    ),
    "The cache of pixels, in the user's own folder; its length is checked before it is mapped.": (
        "cliqa/transforms/pixel_store/on_disk.py::_lmdb lmdb.open",
    ),
    "How this machine starts processes, and a lock that they share.": (
        "cliqa/transforms/pixel_store/shared_memory.py::_lock multiprocessing.get_context",
        "cliqa/transforms/pixel_store/shared_memory.py::workers_are_forked "
        "multiprocessing.get_all_start_methods",
    ),
    "SciPy's MATLAB reader, in a process of its own.": (
        "cliqa/datasets/labels/mat_file.py::main allow_pickle=False",
        "cliqa/datasets/labels/mat_file.py::main scipy.io.loadmat",
        "cliqa/datasets/labels/mat_file.py::main scipy.io.whosmat",
        "cliqa/datasets/labels/mat_file.py::read_variables allow_pickle=False",
        "cliqa/datasets/labels/mat_file.py::read_variables numpy.load",
        "cliqa/datasets/labels/mat_file.py::read_variables subprocess.TimeoutExpired",
        "cliqa/datasets/labels/mat_file.py::read_variables subprocess.run",
    ),
    "Weights & Biases: is its server there? The user's config names the logger.": (
        "cliqa/engine/loggers/wandb_run.py::is_reachable.ask urllib.request.urlopen",
    ),
}
"""The reviewed loaders, ``file::function what``, by the reason why each may be there."""


def sources() -> list[Path]:
    """Return the files of the package, the tools and the entry points."""
    folders = [path for name in ("cliqa", "tools") for path in (ROOT / name).rglob("*.py")]
    return sorted([*folders, *ROOT.glob("*.py")])


def test_every_loader_is_on_the_reviewed_list() -> None:
    found = {loader for path in sources() for loader in loaders_of(path)}
    listed = {loader for loaders in REVIEWED.values() for loader in loaders}
    new, gone = sorted(found - listed), sorted(listed - found)
    assert not new, (
        "New loaders of foreign data or code. Look at each: can what it reads run code, open a "
        "file, fetch an address or kill the process? Then put it into REVIEWED, under the reason "
        f"why it may be there: {new}"
    )
    assert not gone, f"These loaders are no more. Take them out of REVIEWED: {gone}"


def test_no_loader_stands_under_two_reasons() -> None:
    every = [loader for loaders in REVIEWED.values() for loader in loaders]
    assert sorted(every) == sorted(set(every))


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("import torch\ndef f(p): torch.load(p)", ["f torch.load"]),
        ("import torch as t\nload = t.load", ["module t.load"]),
        ("from torch import load as read\nclass A:\n def f(s): read(1)", ["A.f torch.load"]),
        ("import numpy as np\nnp.load(p, allow_pickle=True)", ["allow_pickle=True", "numpy.load"]),
        ("from functools import partial\nimport pickle\npartial(pickle.load, 1)", ["pickle.load"]),
        ("def f():\n    import subprocess\n    subprocess.run([])", ["f subprocess.run"]),
        ("import os\nos.system('x'); os.execv('a', [])", ["os.execv", "os.system"]),
        ("eval('1'); exec('1'); __import__('x')", ["__import__", "eval", "exec"]),
        ("from PIL import Image\nImage.open(p)", ["PIL.Image.open"]),
        ("from yaml import load, Loader\nload(p, Loader)", ["yaml.Loader", "yaml.load"]),
        ("import scipy.io\nscipy.io.loadmat(p)", ["scipy.io.loadmat"]),
        ("library('onnx').load(p); core.read_model(p)", [".load", "core.read_model"]),
        ("from urllib.request import urlopen\nurlopen(u)", ["urllib.request.urlopen"]),
        ("from importlib import import_module as get\nget(n)", ["importlib.import_module"]),
        ("CIFAR10(r, download=True)", ["download=True"]),
        ("import xml.etree.ElementTree as tree\ntree.parse(p)", ["xml.etree.ElementTree.parse"]),
        ("import pickle\ntry: ...\nexcept pickle.PickleError: ...", []),
        ("model.eval(); re.compile('x'); json.loads('1'); names.load = 3", []),
    ],
)
def test_loaders_are_found_by_whatever_name(source: str, wanted: list[str], tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(source)
    found = sorted({line.partition("::")[2] for line in loaders_of(tmp_path / "x.py", tmp_path)})
    expected = {w if w.split(" ")[0] in ("f", "A.f", "module") else f"module {w}" for w in wanted}
    assert found == sorted(e.replace("module t.load", "module torch.load") for e in expected)
