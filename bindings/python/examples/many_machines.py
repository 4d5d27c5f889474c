"""Classify images on a cluster: python many_machines.py [FOLDER [ADDRESS]]

ADDRESS is that of a Ray cluster; without it, Ray is started on this machine.
`python -m libresnet.batch FOLDER OUT.parquet --ray ADDRESS` does the same from the command
line, and can be interrupted. The marks `# %%` separate the cells of a notebook.
"""

# %% Start Ray, and let it read images.
import sys
from pathlib import Path

import ray

import libresnet
import libresnet.ray

samples = Path(__file__).resolve().parents[3] / "models" / "samples"
folder = Path(sys.argv[1]) if len(sys.argv) > 1 else samples
ray.init(
    address=sys.argv[2] if len(sys.argv) > 2 else None,
    num_cpus=None if len(sys.argv) > 2 else 3,
    log_to_driver=False,
)
images = ray.data.read_binary_files(str(folder), include_paths=True, file_extensions=["jpg", "png"])

# %% Compile the model once and put it into the object store. Every node maps it from there.
model = libresnet.ray.ship(libresnet.Model())

# %% Start two actors of one CPU, each with its own session. Ray needs a third CPU for
# reading, or it waits for ever. A broken image gives a row with an error.
labelled = images.map_batches(
    libresnet.ray.Classifier,
    fn_constructor_kwargs={"model": model, "k": 3},
    batch_size=32,
    compute=ray.data.ActorPoolStrategy(size=2),
    num_cpus=1,
)
for row in sorted(labelled.take_all(), key=lambda row: row["path"]):
    print(Path(row["path"]).name, row["error"] or f"{row['label']} {row['score']:.1%}")
ray.shutdown()
