package dev.baton.cuda.driver;

/** Recorded work that is launched as a whole. Used by its stream's thread. */
public final class GpuGraph implements AutoCloseable {
    private final long stream;
    private final long executable;

    GpuGraph(long graph, long stream) {
        this.stream = stream;
        try {
            this.executable = Cuda.longOf(
                    "cuGraphInstantiate", result -> (int) Calls.GRAPH_INSTANTIATE.invokeExact(result, graph, 0L));
        } finally {
            Cuda.run("cuGraphDestroy", () -> (int) Calls.GRAPH_DESTROY.invokeExact(graph));
        }
    }

    /** Queues the whole. */
    public void launch() {
        Cuda.run("cuGraphLaunch", () -> (int) Calls.GRAPH_LAUNCH.invokeExact(executable, stream));
    }

    @Override
    public void close() {
        Cuda.run("cuGraphExecDestroy", () -> (int) Calls.GRAPH_EXEC_DESTROY.invokeExact(executable));
    }
}
