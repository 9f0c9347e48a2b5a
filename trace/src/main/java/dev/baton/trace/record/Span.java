package dev.baton.trace.record;

import org.jspecify.annotations.Nullable;

/**
 * Something that took time on one thread.
 *
 * @param kind which category it gets in the file
 * @param name what it is
 * @param threadId the thread
 * @param startNanos {@link System#nanoTime}
 * @param endNanos likewise
 * @param detail what more is known; null for none
 */
public record Span(
        Kind kind,
        String name,
        long threadId,
        long startNanos,
        long endNanos,
        @Nullable Detail detail) {

    /** The categories that Baton writes; their words are Kineto's. */
    public enum Kind {
        /** One operator call of the model. */
        OPERATOR("cpu_op"),
        /** A collective of ranks. */
        COLLECTIVE("cpu_op"),
        /** A step or a part of the scheduler's turn. */
        ANNOTATION("user_annotation"),
        /** Work of a GPU. */
        KERNEL("kernel"),
        COPY("gpu_memcpy"),
        FILL("gpu_memset"),
        /** A call that queued such work. */
        CALL("cuda_driver"),
        /** A call that queued a recorded graph; the category in which readers of traces look for it. */
        GRAPH_LAUNCH("cuda_runtime");

        private final String category;

        Kind(String category) {
            this.category = category;
        }

        public String category() {
            return category;
        }
    }

    /** What more is known of a span. */
    public sealed interface Detail {}

    /**
     * @param shapes dimensions of each tensor argument
     * @param types its element type, in the words of PyTorch traces
     */
    public record Operands(long[][] shapes, String[] types) implements Detail {}

    /**
     * @param collective {@code allreduce}, {@code _allgather_base} and so on
     * @param inElements elements sent by this rank
     * @param outElements elements it ends with
     * @param elementType in the words of PyTorch traces
     * @param groupName process group
     * @param groupRanks world ranks of the group
     */
    public record Collective(
            String collective,
            long inElements,
            long outElements,
            String elementType,
            String groupName,
            int[] groupRanks)
            implements Detail {}

    /**
     * @param forwardStep number of the step since the start
     * @param sequences batch size
     * @param tokens new tokens
     */
    public record Step(long forwardStep, int sequences, int tokens) implements Detail {}

    /**
     * Of a GPU's work, which stands in the row of its stream.
     *
     * @param correlation that of the {@link DeviceCall} which queued it
     * @param grid blocks in x, y and z; empty when it is no kernel
     * @param block threads of a block likewise
     * @param registers of a thread
     * @param sharedBytes of a block
     * @param bytes copied or filled
     */
    public record DeviceWork(
            int device,
            int stream,
            int correlation,
            int[] grid,
            int[] block,
            int registers,
            int sharedBytes,
            long bytes)
            implements Detail {}

    /** Of a call that queued work of a GPU. */
    public record DeviceCall(int correlation) implements Detail {}
}
