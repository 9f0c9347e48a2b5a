"""The peer of TraceSpeed: a trace loaded as Python tools do it, with json and pandas, then kernel time by name."""
import gzip
import json
import resource
import sys
import time

import pandas

path = sys.argv[1]
begin = time.perf_counter()
with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
    document = json.load(file)
events = pandas.DataFrame(document["traceEvents"])
loaded = time.perf_counter()
kernels = events[events["cat"] == "kernel"]
args = pandas.json_normalize(kernels["args"])
sums = kernels.groupby("name")["dur"].sum().sort_values(ascending=False)
end = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"{len(events)} events, {len(kernels)} kernels, top {sums.iloc[0] / 1e3:.1f} ms: "
      f"load {loaded - begin:.2f} s, with sums {end - begin:.2f} s, peak {peak:.0f} MB")
