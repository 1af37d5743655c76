"""Images per second of mobilenet_v2 on this machine, one thread each: Carafe's twin beside LiteRT, ONNX Runtime and
OpenVINO, all in int8.

    python images_per_second.py [--carafe ../../target/release/carafe] [--assets ASSETS] [--rounds 9] [--json]

ASSETS is the folder with `models/` and `data/`: else that of CARAFE_ASSETS, else `shared` beside the checkout. Needs the
packages in requirements.txt, and `cargo build --release`.

LiteRT runs the int8 TFLite file; ONNX Runtime the ONNX file, quantized by its own static quantization; OpenVINO the IR,
quantized by NNCF; Carafe the IR, converted with its default options. All are calibrated with the same 32 images.

Every round times each engine once, for a second, so that what else the machine does meets all of them; the figure is the
median of the rounds, and a round's is that of the median image. They are times of this machine and no other.
"""

import argparse
import csv
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

CHECKOUT = Path(__file__).resolve().parents[2]
NAME = "mobilenet_v2"
CALIBRATION = 32
# Images whose answers are compared, to see that all run the same network.
CHECKED = 40
SECONDS = 1.0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    assets = os.environ.get("CARAFE_ASSETS", CHECKOUT.parent / "shared")
    parser.add_argument("--assets", type=Path, default=Path(assets))
    parser.add_argument("--carafe", type=Path, default=CHECKOUT / "target/release/carafe")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    return parser.parse_args()


def images(assets, split, count):
    """File, class of 1001, and pixels (NHWC, -1..1) of the first images of a split."""
    folder = assets / "data/imagenet"
    with open(folder / "labels.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split][:count]
    for row in rows:
        picture = Image.open(folder / "images" / row["file"]).convert("RGB")
        if picture.size != (224, 224):
            picture = picture.resize((224, 224), Image.BILINEAR)
        yield int(row["label_1001"]), (np.asarray(picture, np.float32)[None] - 127) / np.float32(127.5)


def litert(assets, _, __):
    from ai_edge_litert.interpreter import Interpreter

    engine = Interpreter(str(assets / "models" / NAME / f"{NAME}_ptq_uint8io.tflite"), num_threads=1)
    engine.allocate_tensors()
    take, give = engine.get_input_details()[0], engine.get_output_details()[0]
    scale, zero = take["quantization"]

    def run(image):
        engine.set_tensor(take["index"], image)
        engine.invoke()
        return engine.get_tensor(give["index"])

    return run, lambda x: np.clip(np.round(x / scale) + zero, 0, 255).astype(np.uint8)


def layout(shape):
    """Pixels as a network of this input shape wants them."""
    return (lambda x: np.ascontiguousarray(x.transpose(0, 3, 1, 2))) if shape[1] == 3 else (lambda x: x)


def onnx_runtime(assets, folder, calibration):
    import onnxruntime as ort
    from onnxruntime import quantization as q
    from onnxruntime.quantization.shape_inference import quant_pre_process

    float_model = str(assets / "models" / NAME / f"{NAME}.onnx")
    take = ort.InferenceSession(float_model, providers=["CPUExecutionProvider"]).get_inputs()[0]
    prepare = layout(take.shape)

    class Reader(q.CalibrationDataReader):
        def __init__(self):
            self.rest = iter(calibration)

        def get_next(self):
            image = next(self.rest, None)
            return None if image is None else {take.name: prepare(image)}

    clean, int8 = str(folder / "clean.onnx"), str(folder / "int8.onnx")
    quant_pre_process(float_model, clean, skip_symbolic_shape=True)
    q.quantize_static(clean, int8, Reader(), quant_format=q.QuantFormat.QDQ, per_channel=True)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(int8, options, providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {take.name: image})[0], prepare


def open_vino(assets, _, calibration):
    import nncf
    import openvino as ov

    core = ov.Core()
    model = core.read_model(assets / "models" / NAME / f"{NAME}.xml")
    prepare = layout(list(model.input(0).partial_shape.get_min_shape()))
    int8 = nncf.quantize(model, nncf.Dataset([prepare(x) for x in calibration]), subset_size=len(calibration))
    options = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(int8, "CPU", options).create_infer_request()
    return lambda image: request.infer([image], share_inputs=True, share_outputs=True)[0], prepare


def pace(run, image):
    """Images per second: what the median one takes."""
    times = []
    end = time.perf_counter() + SECONDS
    while (begun := time.perf_counter()) < end or len(times) < 5:
        run(image)
        times.append(time.perf_counter() - begun)
    return 1 / median(times)


def carafe(program, *command):
    done = subprocess.run([program, *map(str, command), "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{program} {command[0]}: {done.stderr or done.stdout}")
    return json.loads(done.stdout)


def converted(args, folder):
    """The blob, made of the IR and the same images."""
    data = args.assets / "data/imagenet"
    blob = folder / f"{NAME}.carafe"
    how = ["--calibration-csv", data / "labels.csv", "--calibration-split", "calib", "--mean", 127, "--scale", 127.5]
    model = args.assets / "models" / NAME / f"{NAME}.xml"
    how += ["--calibration", data / "images", "--calibration-samples", CALIBRATION]
    carafe(args.carafe, "convert", model, "-o", blob, *how)
    return blob


def main():
    args = arguments()
    for needed in (args.carafe, args.assets / "models" / NAME, args.assets / "data/imagenet"):
        if not needed.exists():
            sys.exit(f"{needed} is not there; see --help")
    logging.disable(logging.WARNING)
    calibration = [x for _, x in images(args.assets, "calib", CALIBRATION)]
    checked = list(images(args.assets, "test", CHECKED))
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        blob = converted(args, folder)
        peers = {"LiteRT": litert, "ONNX Runtime": onnx_runtime, "OpenVINO": open_vino}
        peers = {name: make(args.assets, folder, calibration) for name, make in peers.items()}
        right = {
            name: sum(run(prepare(x)).argmax() == label for label, x in checked) / len(checked)
            for name, (run, prepare) in peers.items()
        }
        found = {name: [] for name in ["Carafe", *peers]}
        for number in range(args.rounds):
            found["Carafe"].append(carafe(args.carafe, "bench", blob, "--board", "host")["inferences_per_second"])
            for name, (run, prepare) in peers.items():
                found[name].append(pace(run, prepare(checked[0][1])))
            print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
    rows = {
        name: {"images_per_second": median(x), "least": min(x), "most": max(x), "top1_of_checked": right.get(name)}
        for name, x in found.items()
    }
    if args.json:
        print(json.dumps({"model": NAME, "threads": 1, "rounds": args.rounds, "engines": rows}))
        return
    print(f"{NAME}, int8, one thread, {args.rounds} rounds; {cpu()}")
    print("| engine | images per second | least | most |\n|---|---:|---:|---:|")
    for name, row in rows.items():
        print(f"| {name} | {row['images_per_second']:.1f} | {row['least']:.1f} | {row['most']:.1f} |")
    answers = ", ".join(f"{name} {100 * part:.0f} %" for name, part in right.items())
    print(f"Right answers for {CHECKED} images: {answers}")


def cpu():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return "CPU not known"


if __name__ == "__main__":
    main()
