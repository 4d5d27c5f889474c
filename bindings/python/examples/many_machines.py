"""More pictures than one machine can label: python many_machines.py [FOLDER [ADDRESS]]

ADDRESS is that of a Ray cluster; without it Ray is started here. `python -m
libresnet.batch FOLDER OUT.parquet --ray ADDRESS` does all of this from the command line,
and can be interrupted. Cells are marked as notebooks know them.
"""

# %% Ray, and pictures that it reads.
import sys
from pathlib import Path

import ray

import libresnet
import libresnet.ray

folder = Path(
    sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[3] / "models" / "samples"
)
ray.init(
    address=sys.argv[2] if len(sys.argv) > 2 else None,
    num_cpus=None if len(sys.argv) > 2 else 3,
    log_to_driver=False,
)
pictures = ray.data.read_binary_files(
    str(folder), include_paths=True, file_extensions=["jpg", "png"]
)

# %% The model is compiled once and put into the object store, from which every node maps it.
model = libresnet.ray.ship(libresnet.Model())

# %% Two actors of one CPU, each with a session of its own. Ray needs a third CPU for reading, or it waits for ever. A broken
# picture is a row with an error, not a lost batch.
labelled = pictures.map_batches(
    libresnet.ray.Classifier,
    fn_constructor_kwargs={"model": model, "k": 3},
    batch_size=32,
    compute=ray.data.ActorPoolStrategy(size=2),
    num_cpus=1,
)
for row in sorted(labelled.take_all(), key=lambda row: row["path"]):
    print(Path(row["path"]).name, row["error"] or f"{row['label']} {row['score']:.1%}")
ray.shutdown()
