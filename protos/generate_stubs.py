"""Regenerate the Python stubs that stand beside the .proto files: `python protos/generate_stubs.py [FOLDER]`."""

import os
import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

PROTOS = Path(__file__).parent
STUBS = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")


def contract() -> tuple[Path, ...]:
    """Return the .proto files of the public contract, sorted."""
    return tuple(sorted(PROTOS.glob("tact/**/*.proto")))


def generate(folder: Path) -> None:
    """Write the stubs of the whole contract below `folder`; stubs whose .proto is gone are removed.

    Raises RuntimeError when protoc refuses a file; protoc has then printed why.
    """
    for stale in _stubs_without_a_proto(folder):
        stale.unlink()
    # protoc finds the mypy plugins on the PATH; they are installed beside this interpreter.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    folders = [f"--proto_path={PROTOS}", f"--proto_path={files('grpc_tools') / '_proto'}"]
    outputs = [f"--python_out={folder}", f"--grpc_python_out={folder}"]
    types = [f"--mypy_out=quiet,readable_stubs:{folder}", f"--mypy_grpc_out=quiet,readable_stubs:{folder}"]
    if protoc.main(["protoc", *folders, *outputs, *types, *map(str, contract())]):
        raise RuntimeError("protoc refused the contract; its message is above")


def _stubs_without_a_proto(folder: Path) -> list[Path]:
    wanted = {str(p.relative_to(PROTOS).with_suffix("")) + end for p in contract() for end in STUBS}
    return [
        p for p in folder.glob("tact/**/*_pb2*.py*") if p.suffix != ".pyc" and str(p.relative_to(folder)) not in wanted
    ]


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else PROTOS)
