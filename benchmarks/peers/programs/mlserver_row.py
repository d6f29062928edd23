"""MLServer's part: `mlserver_row prepare FOLDER HTTP_PORT GRPC_PORT METRICS_PORT`, or `mlserver_row decode FILE`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from mlserver.grpc.dataplane_pb2 import ModelInferRequest, ModelInferResponse

from benchmarks.peers.programs.fitting import fitted
from benchmarks.peers.programs.messages import read_samples, write_requests

NAME = "row"


def prepare(folder: Path, http_port: int, grpc_port: int, metrics_port: int) -> None:
    """Write all that `mlserver start FOLDER` needs, set to what is fastest on one core, and requests about each row."""
    rows = fitted(folder)
    settings = {
        "debug": False,  # no line for each call
        "parallel_workers": 0,  # no second process between the call and the model
        "host": "127.0.0.1",
        "http_port": http_port,
        "grpc_port": grpc_port,
        "metrics_port": metrics_port,
    }
    parameters = {"uri": "./model.joblib", "extra": {"predict_fn": "predict_proba"}}
    model = {"name": NAME, "implementation": "mlserver_sklearn.SKLearnModel", "parameters": parameters}
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "model-settings.json").write_text(json.dumps(model), encoding="utf-8")
    write_requests(folder, map(request, rows))


def request(row: list[float]) -> bytes:
    """Return a call about one row in raw bytes, which costs MLServer less than a list of numbers."""
    tensor = ModelInferRequest.InferInputTensor(name="row", datatype="FP64", shape=[1, len(row)])
    raw = [np.asarray(row, dtype=np.float64).tobytes()]
    return bytes(ModelInferRequest(model_name=NAME, inputs=[tensor], raw_input_contents=raw).SerializeToString())


def decode(file: Path) -> list[tuple[int, list[float]]]:
    """Return what was answered about which row."""
    return [(row, _probabilities(ModelInferResponse.FromString(body))) for row, body in read_samples(file)]


def _probabilities(reply: ModelInferResponse) -> list[float]:
    if reply.raw_output_contents:
        return [float(value) for value in np.frombuffer(reply.raw_output_contents[0])]
    return list(reply.outputs[0].contents.fp64_contents)


def main(words: list[str]) -> None:
    """Do what the command line says."""
    if words[0] == "prepare":
        prepare(Path(words[1]), *map(int, words[2:]))
    else:
        print(json.dumps(decode(Path(words[1]))))


if __name__ == "__main__":
    main(sys.argv[1:])
